"""Take the cup from the side, set it down on the coaster, draw back.

Called by drivers/sim/experts.
"""

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import OPEN_GRIP_M, TABLE_TOP_M
from drivers.sim.experts import carry
from drivers.sim.experts.reach import above
from drivers.sim.experts.script import Script
from drivers.sim.physics import Physics
from drivers.sim.tasks.empty_cup_place import COASTER, CUP, EmptyCupPlace

_PITCH_RAD = 0.6  # of the hand, downwards; found by trial
_ABOVE_M = 0.008  # of the grasp point over the cup's middle; found by trial


def plan(physics: Physics) -> NDArray[np.float64]:
    """Joint targets (T, 14), rad and m, 30 a second, for the scene as it stands. Raises Unreachable."""
    task = physics.task
    assert isinstance(task, EmptyCupPlace)
    place = above(physics.data.body("cup").xpos, _ABOVE_M)
    script, side = Script.begin(physics), carry.nearer_side(place[0])
    hand = carry.take(script, side, place, 2 * task.cup.radius_m, _PITCH_RAD)
    height_m = TABLE_TOP_M + 2 * COASTER.half_height_m + CUP.half_height_m + _ABOVE_M
    carry.set_down(script, side, hand, np.array([*physics.data.body("coaster").xpos[:2], height_m]), OPEN_GRIP_M)
    return script.targets()
