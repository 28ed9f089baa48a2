"""A simulated Cobot Magic: physics, cameras and tasks behind the same protocols as the real devices.

Called by runtime/devices (in step with the clock), and without a clock by evaluation and `demos.sh`.
"""
