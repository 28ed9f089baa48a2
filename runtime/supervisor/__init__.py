"""The robot command: starts, watches and ends all processes; operators at the terminal and beside it.
Run by the commands `robot`, `record` and `operator`; the replay on the robot and benchmarks use it.
"""
