"""What the operating system gives: clocks, priorities, signals, the terminal, folders, processors.
Used by every other room.
"""
