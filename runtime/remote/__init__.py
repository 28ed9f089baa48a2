"""System 2 on another machine: the same messages over an encrypted connection, pictures as JPEG.
A process of the robot's run, and the commands `system2` and `keys`.
"""
