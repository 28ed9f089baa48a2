"""The processes of the robot and what passes between them.
Run by the scripts in launch/ and by the program `video2act` (cli.py); deploy/robotwin imports it.
"""
