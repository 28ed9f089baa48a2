"""empty_cup_place: the arm on the cup's side puts it on the coaster near the middle.

Rule of RoboTwin v1: cup at |x| 0.15 to 0.3, coaster near the centre, at least 0.1 m apart; done when |dx|, |dy| < 0.025 m and
the cup's height is below 0.797 m, that is, it stands on the coaster. The rule leaves y and the coaster's place open: as for the
container, y -0.1 to 0.05; coaster within 0.05 m of x = 0. Made by drivers/sim/tasks; its expert is
drivers/sim/experts/empty_cup_place.py.
"""

from typing import Any, ClassVar

import numpy as np

from drivers.cobot_magic import TABLE_TOP_M
from drivers.sim.tasks.objects import Cup, Disc, put, upright
from drivers.sim.tasks.task import Task, place_m
from drivers.task_names import INSTRUCTIONS

CUP = Cup()
COASTER = Disc(radius_m=0.045, half_height_m=0.006)  # so thick that a cup on it has its middle at _STANDING_M
_TOLERANCE_M = 0.025  # by the rule
_STANDING_M = 0.792  # of the cup's middle, by the rule
_LEAST_APART_M = 0.1  # by the rule


class EmptyCupPlace(Task):
    name: ClassVar[str] = "empty_cup_place"
    instructions: ClassVar[tuple[str, ...]] = INSTRUCTIONS["empty_cup_place"]
    step_limit: ClassVar[int] = 500
    manipulated: ClassVar[tuple[str, ...]] = ("cup",)

    @property
    def cup(self) -> Cup:
        """The cup, as thick as it is in this scene."""
        return CUP.sized(self.style("cup"))

    def add_objects(self, spec: Any) -> None:
        """A coaster and the cup, both free bodies; the coaster is heavy."""
        COASTER.add(spec, "coaster", self.style("coaster"))
        self.cup.add(spec, "cup", self.style("cup"))

    def place_objects(self, model: Any, data: Any, random: np.random.Generator) -> None:
        """The cup to the left or to the right, the coaster near the middle, at least 0.1 m apart."""
        sign = 1 if random.random() < 0.5 else -1
        while True:
            cup_xy = random.uniform((0.15, -0.1), (0.3, 0.05)) * (sign, 1)
            coaster_xy = random.uniform((-0.05, -0.1), (0.05, 0.05))
            if np.hypot(*(cup_xy - coaster_xy)) >= _LEAST_APART_M:
                break
        put(data, "coaster", np.array([*coaster_xy, TABLE_TOP_M + COASTER.half_height_m]))
        place = np.array([*cup_xy, TABLE_TOP_M + CUP.half_height_m])
        put(data, "cup", place, upright(float(random.uniform(-np.pi, np.pi))))

    def success(self, model: Any, data: Any) -> bool:
        """Whether the cup is over the coaster's middle, and so low that it stands on it."""
        cup, coaster = place_m(data, "cup"), place_m(data, "coaster")
        near = abs(cup[0] - coaster[0]) < _TOLERANCE_M and abs(cup[1] - coaster[1]) < _TOLERANCE_M
        return bool(near and cup[2] - _STANDING_M < 0.005)
