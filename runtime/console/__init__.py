"""The operator's console: a page to watch and steer a robot, and to look through its sessions.
A process of a run, and the command `console`; the paced replay shows its page too.
"""
