"""The checks before the robot may move.
Run by the command `doctor`, and by `robot` before a real robot starts.
"""
