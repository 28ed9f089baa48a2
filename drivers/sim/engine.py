"""MuJoCo, headless. The one place that imports it: its names come from a compiled module that type checkers cannot see.

Used by the modules beside it that build, move or render a scene.
"""

import importlib
import os
from typing import Any

os.environ.setdefault("MUJOCO_GL", "egl")  # read by MuJoCo at its first import
# Software GL draws in the caller's thread: a set of three such small pictures takes 17 ms with threads of its own, 12 without.
os.environ.setdefault("LP_NUM_THREADS", "0")
mujoco: Any = importlib.import_module("mujoco")
