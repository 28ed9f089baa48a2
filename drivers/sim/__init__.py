"""A simulated Cobot Magic: physics, cameras and tasks behind the same protocols as the real devices."""

import os

os.environ.setdefault("MUJOCO_GL", "egl")  # headless; MuJoCo reads it at its first import
