"""What every process is made of: its base, the table of all processes, snapshots of their states.
Used by every process, and by the supervisor, which starts them.
"""
