"""A start that stays: one object begins each scene where a chosen scene of its task has it; the others are strewn as ever.

Put by drivers/sim/physics.py; chosen by runtime/evaluation for the paper's action distributions (Figures 6 and 11).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.sim.engine import mujoco
from drivers.sim.tasks.task import Task


@dataclass(frozen=True)
class FixedStart:
    """Which object stays, and the scene that it is taken from."""

    name: str
    scene: int  # its seed

    def pose(self, task: Task, model: Any) -> NDArray[np.float64]:
        """Where it begins, (7,): place in the world in m, quaternion (w, x, y, z)."""
        chosen = mujoco.MjData(model)
        task.place_objects(model, chosen, np.random.default_rng(self.scene))
        return chosen.joint(self.name).qpos.copy()

    def put(self, task: Task, model: Any, data: Any) -> None:
        """Put it there in `data`, in which its task has placed all objects, at rest."""
        data.joint(self.name).qpos[:] = self.pose(task, model)
