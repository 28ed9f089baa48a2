"""LeRobot's policies for this robot and for any client of openpi, in an environment of their own.
Run by launch/policy_server.sh; of the runtime it imports nothing but errors and messaging.
"""
