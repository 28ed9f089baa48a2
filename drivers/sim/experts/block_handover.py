"""The left hand takes the block high, brings it to the middle; the right hand takes it low, sets it down on the mat.

Called by drivers/sim/experts. They meet where the radial directions of both arms cross at a right angle, since the block's
faces do. Values without another reason were found by trial.
"""

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import BASE_X_M, BASE_Y_M, OPEN_GRIP_M, TABLE_TOP_M
from drivers.sim.experts.carry import BEFORE_M, set_down
from drivers.sim.experts.reach import above, over
from drivers.sim.experts.script import Script, first_reachable
from drivers.sim.physics import Physics
from drivers.sim.tasks.block_handover import (
    BLOCK_HALF_M,
    HELD_BELOW_M,
    MAT_THICKNESS_M,
    TARGET_XY_M,
    BlockHandover,
)

_LEFT, _RIGHT = 0, 1
_LEFT_PITCHES_RAD = (0.35, 0.5, 0.2, 0.65, 1.0, 1.15, 0.85)  # tried in this order, until all stops are reachable
_RIGHT_PITCHES_RAD = (0.35, 0.5, 0.6, 0.75)  # likewise
_HIGHS_M = (0.07, 0.055)  # of the left hand's grasp, from the block's middle; far out the arm is short
_RISE_M = 0.12  # at the end: the hand stays beside the block, as the rule asks
_MEETING_M = np.array([0.0, BASE_Y_M + BASE_X_M["right"], TABLE_TOP_M + 0.25])  # the block's middle at the handover
_SQUEEZE_M = 0.02  # as in carry.py


def plan(physics: Physics) -> NDArray[np.float64]:
    """Joint targets (T, 14), rad and m, 30 a second, for the scene as it stands. Raises Unreachable."""
    task, block = physics.task, physics.data.body("block")
    assert isinstance(task, BlockHandover)
    closed_m = 2 * task.block.half_m[0] - _SQUEEZE_M
    place, rotation = block.xpos.copy(), block.xmat.reshape(3, 3).copy()

    def write(high_m: float, left_rad: float, right_rad: float) -> Script:
        script = Script.begin(physics)
        straight = over(_LEFT, above(place, high_m), left_rad)
        taken = straight.at(heading_rad=_to_nearest_face(rotation, straight.azimuth_rad))
        before = taken.back(BEFORE_M)
        script.move(1.2, {_LEFT: before.at(heading_rad=0.0)})
        script.move(0.5, {_LEFT: before})
        script.move(0.7, {_LEFT: taken})
        script.grip(0.4, {_LEFT: closed_m})
        lifted = taken.at(z_m=taken.z_m + 0.1)
        script.move(0.7, {_LEFT: lifted})
        script.move(0.5, {_LEFT: lifted.at(heading_rad=0.0)})
        meeting = over(_LEFT, above(_MEETING_M, high_m), left_rad)
        low = over(_RIGHT, above(_MEETING_M, HELD_BELOW_M), right_rad)
        script.move(1.4, {_LEFT: meeting, _RIGHT: low.back(1.5 * BEFORE_M)})
        script.move(0.8, {_RIGHT: low})
        script.grip(0.4, {_RIGHT: closed_m})
        script.grip(0.4, {_LEFT: OPEN_GRIP_M})
        script.move(0.6, {_LEFT: meeting.back(1.3 * BEFORE_M)})
        standing_m = TABLE_TOP_M + MAT_THICKNESS_M + BLOCK_HALF_M[2] + HELD_BELOW_M
        set_down(script, _RIGHT, low, np.array([*TARGET_XY_M, standing_m]), OPEN_GRIP_M, _RISE_M)
        return script

    return first_reachable(write, task.step_limit, _HIGHS_M, _LEFT_PITCHES_RAD, _RIGHT_PITCHES_RAD)


def _to_nearest_face(rotation: NDArray[np.float64], azimuth_rad: float) -> float:
    """The heading with which a hand at this azimuth stands square to the block's nearest face, within 45 degrees."""
    forwards_rad = np.arctan2(rotation[1, 0], rotation[0, 0]) - np.pi / 2 - azimuth_rad  # base x is world y
    return float((forwards_rad + np.pi / 4) % (np.pi / 2) - np.pi / 4)
