"""MuJoCo, headless. The one place that imports it: its names come from a compiled module that type checkers cannot see."""

import importlib
import os
from typing import Any

os.environ.setdefault("MUJOCO_GL", "egl")  # read by MuJoCo at its first import
mujoco: Any = importlib.import_module("mujoco")
