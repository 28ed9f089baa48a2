"""dual_bottles_pick_easy and _hard: each arm lifts a bottle, and both are brought side by side in front of the robot.

Rules of RoboTwin v1. Easy: both stand; red within 0.03 m of (-0.046, -0.105), green of (0.057, -0.105), both centres above
0.9 m; x 0.05 to 0.25 to the arm's side, y 0.03 to 0.23. Hard: each one lies (yaw within 1.4 rad) or stands, half and half;
targets (-0.07, -0.11) and (0.06, -0.11). Adapted to the Piper: in the hard task y is -0.10 to 0.06, since a lying bottle has to
be taken from above and the arm does not reach down further out. Made by drivers/sim/tasks; the expert of both is
drivers/sim/experts/dual_bottles_pick.py.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import TABLE_TOP_M
from drivers.sim.tasks.objects import Bottle, lying, put, upright
from drivers.sim.tasks.task import Task, place_m
from drivers.task_names import INSTRUCTIONS

NAMES = {"left": "red_bottle", "right": "green_bottle"}
_SIGN = {"left": -1.0, "right": 1.0}
_TOLERANCE_M = 0.03  # by the rules
_LIFTED_M = 0.9  # by the rules
_LARGEST_YAW_RAD = 1.4  # by the hard task's rule


class _DualBottles(Task):
    """What both tasks have in common: two bottles, the left arm's red and the right one's green."""

    targets_m: ClassVar[dict[str, tuple[float, float]]]
    y_m: ClassVar[tuple[float, float]]

    @property
    def bottle(self) -> Bottle:
        """The shape that both bottles have in this scene."""
        return Bottle().sized(self.style("red_bottle"))

    def add_objects(self, spec: Any) -> None:
        """Both bottles as free bodies, in colours of their own."""
        for name in NAMES.values():
            self.bottle.add(spec, name, self.style(name))

    def success(self, model: Any, data: Any) -> bool:
        """Whether both are lifted, and near their targets in x and y."""
        places = {side: place_m(data, name) for side, name in NAMES.items()}
        near = all(np.hypot(*(place[:2] - self.targets_m[side])) < _TOLERANCE_M for side, place in places.items())
        return bool(near and min(place[2] for place in places.values()) > _LIFTED_M)

    def _strewn(self, random: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """Where both stand: x 0.05..0.25 to their side, y in the task's range."""
        places: dict[str, NDArray[np.float64]] = {}
        for side, sign in _SIGN.items():
            x_m, y_m = random.uniform((0.05, self.y_m[0]), (0.25, self.y_m[1]))
            places[side] = np.array([sign * x_m, y_m, TABLE_TOP_M + self.bottle.half_height_m])
        return places


class DualBottlesPickEasy(_DualBottles):
    name: ClassVar[str] = "dual_bottles_pick_easy"
    instructions: ClassVar[tuple[str, ...]] = INSTRUCTIONS["dual_bottles_pick_easy"]
    step_limit: ClassVar[int] = 400
    manipulated: ClassVar[tuple[str, ...]] = ("red_bottle", "green_bottle")
    targets_m: ClassVar[dict[str, tuple[float, float]]] = {"left": (-0.046, -0.105), "right": (0.057, -0.105)}
    goals_m: ClassVar[tuple[tuple[float, float], ...]] = tuple(targets_m.values())
    y_m: ClassVar[tuple[float, float]] = (0.03, 0.23)

    def place_objects(self, model: Any, data: Any, random: np.random.Generator) -> None:
        """Both upright, turned by any angle, which does not show."""
        for side, place in self._strewn(random).items():
            put(data, NAMES[side], place, upright(float(random.uniform(-np.pi, np.pi))))


class DualBottlesPickHard(_DualBottles):
    name: ClassVar[str] = "dual_bottles_pick_hard"
    instructions: ClassVar[tuple[str, ...]] = INSTRUCTIONS["dual_bottles_pick_hard"]
    step_limit: ClassVar[int] = 400
    manipulated: ClassVar[tuple[str, ...]] = ("red_bottle", "green_bottle")
    targets_m: ClassVar[dict[str, tuple[float, float]]] = {"left": (-0.07, -0.11), "right": (0.06, -0.11)}
    goals_m: ClassVar[tuple[tuple[float, float], ...]] = tuple(targets_m.values())
    y_m: ClassVar[tuple[float, float]] = (-0.10, 0.06)

    def place_objects(self, model: Any, data: Any, random: np.random.Generator) -> None:
        """Each lying (turned by up to 1.4 rad) or upright, half and half."""
        for side, place in self._strewn(random).items():
            if random.random() < 0.5:
                place[2] = TABLE_TOP_M + self.bottle.radius_m
                put(data, NAMES[side], place, lying(float(random.uniform(-_LARGEST_YAW_RAD, _LARGEST_YAW_RAD))))
            else:
                put(data, NAMES[side], place, upright(float(random.uniform(-np.pi, np.pi))))
