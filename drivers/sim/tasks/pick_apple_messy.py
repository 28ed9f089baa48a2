"""pick_apple_messy: the nearer arm takes the apple out of a mess and lifts it.

Rule of RoboTwin v1: an apple among four other things, all at least 0.15 m apart; done when the apple is above 0.81 m. The rule
leaves the ranges open: x -0.3 to 0.3, y -0.12 to 0.2, of which the Piper reaches all. Made by drivers/sim/tasks; its expert is
drivers/sim/experts/pick_apple_messy.py.
"""

from typing import Any, ClassVar

import numpy as np

from drivers.cobot_magic import TABLE_TOP_M
from drivers.sim.tasks.objects import Apple, Block, Bottle, Cup, put, upright
from drivers.sim.tasks.task import Task, place_m
from drivers.task_names import INSTRUCTIONS

APPLE = Apple()
_LIFTED_M = 0.81  # by the rule
_LEAST_APART_M = 0.15  # by the rule
_LEAST_FROM_MIDDLE_M = 0.04  # chosen: an apple in the very middle is no arm's
_LOW_M, _HIGH_M = (-0.3, -0.12), (0.3, 0.2)  # x and y, chosen: see above
_MESS: dict[str, tuple[Bottle | Cup | Block, float]] = {  # and how high their middle stands, m; sizes chosen
    "mess_bottle": (Bottle(radius_m=0.024, half_height_m=0.06), 0.06),
    "mess_cup": (Cup(radius_m=0.028), 0.04),
    "mess_box": (Block((0.03, 0.02, 0.035)), 0.035),
    "mess_can": (Bottle(radius_m=0.03, half_height_m=0.04), 0.04),
}


class PickAppleMessy(Task):
    name: ClassVar[str] = "pick_apple_messy"
    instructions: ClassVar[tuple[str, ...]] = INSTRUCTIONS["pick_apple_messy"]
    step_limit: ClassVar[int] = 250
    manipulated: ClassVar[tuple[str, ...]] = ("apple",)

    @property
    def apple(self) -> Apple:
        """The apple, as thick as it is in this scene."""
        return APPLE.sized(self.style("apple"))

    def add_objects(self, spec: Any) -> None:
        """The apple and four other things (a bottle, a cup, a box, a can), all free bodies."""
        self.apple.add(spec, "apple", self.style("apple"))
        for name, (thing, _) in _MESS.items():
            thing.add(spec, name, self.style(name))

    def place_objects(self, model: Any, data: Any, random: np.random.Generator) -> None:
        """All five somewhere in the range, the rule's 0.15 m apart, the apple on one arm's side."""
        heights = {"apple": self.apple.radius_m} | {name: height for name, (_, height) in _MESS.items()}
        while True:
            places = random.uniform(_LOW_M, _HIGH_M, (len(heights), 2))
            apart = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.eye(len(places))
            if apart.min() >= _LEAST_APART_M and abs(places[0, 0]) >= _LEAST_FROM_MIDDLE_M:
                break
        for (name, height), xy in zip(heights.items(), places, strict=True):
            put(data, name, np.array([*xy, TABLE_TOP_M + height]), upright(float(random.uniform(-np.pi, np.pi))))

    def success(self, model: Any, data: Any) -> bool:
        """Whether the apple is above the rule's height; whether it is held is not asked."""
        return bool(place_m(data, "apple")[2] > _LIFTED_M)
