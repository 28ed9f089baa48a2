"""block_handover: the left arm takes a long block and hands it to the right arm, which puts it on a blue mat.

Rule of RoboTwin v1: block 0.06 x 0.06 x 0.2 m, 0.1 kg; done when its middle is within 0.02 m of the target and within 0.0015 m
of 0.85 m, the right hand within 0.2 m of where it lets go, and the right gripper open. None of the lengths had to be adapted.
Made by drivers/sim/tasks; its expert is drivers/sim/experts/block_handover.py.
"""

from typing import Any, ClassVar

import numpy as np

from drivers.cobot_magic import TABLE_TOP_M
from drivers.sim import shapes
from drivers.sim.colours import opaque
from drivers.sim.tasks.objects import Block, put, upright
from drivers.sim.tasks.task import Task, grasp_m, grip_m, place_m
from drivers.task_names import INSTRUCTIONS

BLOCK_HALF_M = (0.03, 0.03, 0.1)  # by the rule
TARGET_XY_M = (0.23, 0.09)  # by the rule
MAT_THICKNESS_M = 0.01  # so that a block that stands on it has its middle at the rule's 0.85 m
OPEN_GRIP_M = 0.07  # what counts as open; chosen: 10 mm wider than the block, of 80
HELD_BELOW_M = -0.065  # where the right hand holds it, from its middle; chosen: 35 mm above its lower end
_STANDING_Z_M = 0.85  # of the block's middle, by the rule
_HAND_M = 0.2  # by the rule


class BlockHandover(Task):
    name: ClassVar[str] = "block_handover"
    instructions: ClassVar[tuple[str, ...]] = INSTRUCTIONS["block_handover"]
    step_limit: ClassVar[int] = 600
    manipulated: ClassVar[tuple[str, ...]] = ("block",)
    goals_m: ClassVar[tuple[tuple[float, float], ...]] = (TARGET_XY_M,)

    @property
    def block(self) -> Block:
        """The block, as thick as it is in this scene."""
        return Block(BLOCK_HALF_M).sized(self.style("block"))

    def add_objects(self, spec: Any) -> None:
        """The mat on the table and the block as a free body."""
        mat = spec.worldbody.add_body(name="mat", pos=[*TARGET_XY_M, TABLE_TOP_M + MAT_THICKNESS_M / 2])
        shapes.add_box(mat, "mat", (0.07, 0.07, MAT_THICKNESS_M / 2), opaque(self.style("mat").rgb), collides=True)
        self.block.add(spec, "block", self.style("block"))

    def place_objects(self, model: Any, data: Any, random: np.random.Generator) -> None:
        """Block upright at x -0.25..-0.05, y 0..0.25 (the listed ranges), turned by up to 0.3 rad."""
        x_m, y_m, yaw_rad = random.uniform((-0.25, 0.0, -0.3), (-0.05, 0.25, 0.3))
        put(data, "block", np.array([x_m, y_m, TABLE_TOP_M + BLOCK_HALF_M[2]]), upright(yaw_rad))

    def success(self, model: Any, data: Any) -> bool:
        """Whether the block stands on the mat within 0.02 m of its centre, the right hand open beside it."""
        x_m, y_m, z_m = place_m(data, "block")
        near = abs(x_m - TARGET_XY_M[0]) < 0.02 and abs(y_m - TARGET_XY_M[1]) < 0.02
        stands = near and abs(z_m - _STANDING_Z_M) < 0.0015
        goal_m = np.array([*TARGET_XY_M, _STANDING_Z_M + HELD_BELOW_M])
        beside = np.linalg.norm(grasp_m(data, "right") - goal_m) < _HAND_M
        return bool(stands and beside and grip_m(data, "right") > OPEN_GRIP_M)
