"""The checks before the robot may move: `doctor.sh`, and the start of `robot.sh` on a real robot."""
