"""What the operating system gives: clocks, priorities, signals, the terminal, folders, processors."""
