"""container_place: the arm on the container's side puts it on the plate in the middle and draws back.

Rule of RoboTwin v1: plate at (0, -0.05), container at |x| 0.15 to 0.3, y -0.1 to 0.05; done when the middle of its base is
within (0.02, 0.02, 0.01) m of (0, -0.05, table), both grippers are open and the higher hand is above 0.98 m. Made by
drivers/sim/tasks; its expert is drivers/sim/experts/container_place.py.
"""

from typing import Any, ClassVar

import numpy as np

from drivers.cobot_magic import SIDES, TABLE_TOP_M
from drivers.sim.tasks.objects import Cup, add_disc, put, upright
from drivers.sim.tasks.task import Task, grip_m, place_m
from drivers.task_names import INSTRUCTIONS

PLATE_XY_M = (0.0, -0.05)  # by the rule
PLATE_THICKNESS_M = 0.004  # chosen: so flat that what stands on it is within the rule's 10 mm of the table
CONTAINER = Cup(radius_m=0.033, half_height_m=0.03, mass_kg=0.1)  # chosen: 14 mm narrower than an open gripper
_OPEN_GRIP_M = 0.07  # what counts as open; chosen: 10 mm less than wholly
_HANDS_M = 0.98  # by the rule


class ContainerPlace(Task):
    name: ClassVar[str] = "container_place"
    instructions: ClassVar[tuple[str, ...]] = INSTRUCTIONS["container_place"]
    step_limit: ClassVar[int] = 350
    manipulated: ClassVar[tuple[str, ...]] = ("container",)
    goals_m: ClassVar[tuple[tuple[float, float], ...]] = (PLATE_XY_M,)

    @property
    def container(self) -> Cup:
        """The container, as thick as it is in this scene."""
        return CONTAINER.sized(self.style("container"))

    def add_objects(self, spec: Any) -> None:
        """The plate, fixed to the table, and the container as a free body."""
        add_disc(spec, "plate", PLATE_XY_M, 0.075, PLATE_THICKNESS_M, self.style("plate"))
        self.container.add(spec, "container", self.style("container"))

    def place_objects(self, model: Any, data: Any, random: np.random.Generator) -> None:
        """The container to the left or to the right, half and half, within the rule's ranges."""
        x_m, y_m = random.uniform((0.15, -0.1), (0.3, 0.05))
        side = 1 if random.random() < 0.5 else -1
        place = np.array([side * x_m, y_m, TABLE_TOP_M + CONTAINER.half_height_m])
        put(data, "container", place, upright(float(random.uniform(-np.pi, np.pi))))

    def success(self, model: Any, data: Any) -> bool:
        """Whether it stands on the plate, both grippers are open, and a hand is up."""
        x_m, y_m, z_m = place_m(data, "container") - (*PLATE_XY_M, TABLE_TOP_M + CONTAINER.half_height_m)
        stands = abs(x_m) < 0.02 and abs(y_m) < 0.02 and abs(z_m) < 0.01
        let_go = all(grip_m(data, side) > _OPEN_GRIP_M for side in SIDES)
        return bool(stands and let_go and max(place_m(data, f"{side}/hand")[2] for side in SIDES) > _HANDS_M)
