"""What every process is made of: its base, the table of all processes, snapshots of their states."""
