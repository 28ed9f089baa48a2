"""What every simulated task offers: its objects to the scene, its placing to a reset, its rule to the evaluation.

Called by drivers/sim/scene.py and physics.py; the tasks beside it fulfil it.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from drivers.sim import colours, hues
from drivers.sim.appearance import USUAL, Appearance, Style


class Task(ABC):
    """Base of the tasks. `spec`, `model` and `data` are MuJoCo's MjSpec, MjModel and MjData; a task keeps none of them."""

    name: ClassVar[str]
    instructions: ClassVar[tuple[str, ...]]  # the first is the default, the others are other wordings
    step_limit: ClassVar[int]  # targets
    manipulated: ClassVar[tuple[str, ...]]  # the bodies that hands take and that its rule is about
    goals_m: ClassVar[
        tuple[tuple[float, float], ...]
    ] = ()  # x and y of where things are brought, if that place is fixed

    def __init__(self, appearance: Appearance = USUAL) -> None:
        self.appearance = appearance

    def style(self, name: str) -> Style:
        """How one of its objects looks in this scene."""
        return self.appearance.looks.get(name, Style(colours.USUAL[self.name][name]))

    @property
    def wordings(self) -> tuple[str, ...]:
        """Its instructions, but for those that name a colour which an object does not have in this scene."""
        return hues.wordings(self.name, self.appearance.looks)

    @abstractmethod
    def add_objects(self, spec: Any) -> None:
        """Put the task's bodies into the scene, over the table."""

    @abstractmethod
    def place_objects(self, model: Any, data: Any, random: np.random.Generator) -> None:
        """Place the objects in `data`, at rest; every random number comes from `random`."""

    @abstractmethod
    def success(self, model: Any, data: Any) -> bool:
        """Whether the state in `data` fulfils the task's rule."""

    @abstractmethod
    def lack_m(self, data: Any, name: str) -> tuple[float, float]:
        """How far a manipulated object is from where the rule wants it, aside and in height, m; both 0: it is there."""


def place_m(data: Any, body: str) -> NDArray[np.float64]:
    """Where a body's frame is in the world, (3,) m; a copy."""
    return data.body(body).xpos.copy()


def beyond_m(offset_m: NDArray[np.float64], aside_m: float, height_m: float) -> tuple[float, float]:
    """How far an offset (3,) from a goal is outside a box of half widths `aside_m` and half height `height_m`, m: both ways."""
    outside_m = np.maximum(0, np.abs(offset_m) - (aside_m, aside_m, height_m))
    return float(np.hypot(*outside_m[:2])), float(outside_m[2])


def grasp_m(data: Any, side: str) -> NDArray[np.float64]:
    """The point between a hand's fingers, (3,) m in the world."""
    return (place_m(data, f"{side}/finger_a") + place_m(data, f"{side}/finger_b")) / 2


def grip_m(data: Any, side: str) -> float:
    """How far a gripper is open, m: the way of both fingers together."""
    return float(data.joint(f"{side}/finger_a").qpos[0] + data.joint(f"{side}/finger_b").qpos[0])
