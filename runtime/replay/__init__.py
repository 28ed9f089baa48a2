"""Sessions played again: in lockstep, at their pace, under other settings, or on the robot.
Run by the command `replay`.
"""
