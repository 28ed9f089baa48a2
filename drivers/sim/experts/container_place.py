"""Take the container from the side, set it down on the plate, draw back.

Called by drivers/sim/experts.
"""

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import OPEN_GRIP_M, TABLE_TOP_M
from drivers.sim.experts import carry
from drivers.sim.experts.reach import above
from drivers.sim.experts.script import Script
from drivers.sim.physics import Physics
from drivers.sim.tasks.container_place import CONTAINER, PLATE_THICKNESS_M, PLATE_XY_M, ContainerPlace

_PITCH_RAD = 0.75  # of the hand, downwards; found by trial: over the low container the fingers stay clear of the table
_ABOVE_M = 0.008  # of the grasp point over the container's middle; found by trial


def plan(physics: Physics) -> NDArray[np.float64]:
    """Joint targets (T, 14), rad and m, 30 a second, for the scene as it stands. Raises Unreachable."""
    task = physics.task
    assert isinstance(task, ContainerPlace)
    place = above(physics.data.body("container").xpos, _ABOVE_M)
    script, side = Script.begin(physics), carry.nearer_side(place[0])
    hand = carry.take(script, side, place, 2 * task.container.radius_m, _PITCH_RAD)
    height_m = TABLE_TOP_M + PLATE_THICKNESS_M + CONTAINER.half_height_m + _ABOVE_M
    carry.set_down(script, side, hand, np.array([*PLATE_XY_M, height_m]), OPEN_GRIP_M)
    return script.targets()
