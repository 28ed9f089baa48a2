"""What every simulated task offers to the scene, the simulator and the evaluation."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np


class Task(ABC):
    """One task. `spec`, `model` and `data` are MuJoCo's MjSpec, MjModel and MjData."""

    name: ClassVar[str]
    instructions: ClassVar[tuple[str, ...]]  # the first is the default, the others are other wordings
    step_limit: ClassVar[int]  # actions at 30 Hz

    @abstractmethod
    def add_objects(self, spec: Any) -> None:
        """Put the task's bodies into the scene, over the table."""

    @abstractmethod
    def place_objects(self, model: Any, data: Any, random: np.random.Generator) -> None:
        """Strew the objects; every random number comes from `random`."""

    @abstractmethod
    def success(self, model: Any, data: Any) -> bool:
        """Whether the task is done in this state."""
