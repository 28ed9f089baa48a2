"""The robot command: starts, watches and ends all processes; operators at the terminal and beside it."""
