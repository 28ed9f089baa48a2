"""What every simulated task offers to the scene, the simulator and the evaluation."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

DEMONSTRATION_HZ = 30  # of targets and observations
Shift = Literal["none", "objects", "background", "lighting"]
"""The paper's generalisation shifts: what a policy has not seen in its demonstrations."""


class Task(ABC):
    """One task. `spec`, `model` and `data` are MuJoCo's MjSpec, MjModel and MjData."""

    name: ClassVar[str]
    instructions: ClassVar[tuple[str, ...]]  # the first is the default, the others are other wordings
    step_limit: ClassVar[int]  # targets

    def __init__(self, shift: Shift = "none") -> None:
        self.shift: Shift = shift

    @property
    def unseen(self) -> bool:
        """Whether its objects have other colours and sizes than in the demonstrations."""
        return self.shift == "objects"

    @abstractmethod
    def add_objects(self, spec: Any) -> None:
        """Put the task's bodies into the scene, over the table."""

    @abstractmethod
    def place_objects(self, model: Any, data: Any, random: np.random.Generator) -> None:
        """Strew the objects; every random number comes from `random`."""

    @abstractmethod
    def success(self, model: Any, data: Any) -> bool:
        """Whether the task is done in this state."""


def place_m(data: Any, body: str) -> NDArray[np.float64]:
    """(3,) where a body is."""
    return data.body(body).xpos.copy()


def grasp_m(data: Any, side: str) -> NDArray[np.float64]:
    """(3,) the point between a hand's fingers."""
    return (place_m(data, f"{side}/finger_a") + place_m(data, f"{side}/finger_b")) / 2


def grip_m(data: Any, side: str) -> float:
    """How far a gripper is open."""
    return float(data.joint(f"{side}/finger_a").qpos[0] + data.joint(f"{side}/finger_b").qpos[0])
