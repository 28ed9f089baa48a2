"""Both bottles at once: a standing one is taken from the side, a lying one from above; lift, turn to the middle, hold.

Called by drivers/sim/experts for both of its tasks.
"""

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import TABLE_TOP_M
from drivers.sim.experts.reach import Hand, over
from drivers.sim.experts.script import Script, first_reachable
from drivers.sim.physics import Physics
from drivers.sim.tasks.dual_bottles_pick import NAMES, DualBottlesPickEasy, DualBottlesPickHard

_SIDEWAYS_RAD, _FROM_ABOVE_RAD = (0.35, 0.6, 0.8), (1.35, 1.2, 1.5, 1.05)  # pitches, the best first
_BEFORE_M = 0.10  # where a hand stops before a bottle; as in carry.py
_STANDING = 0.7  # a bottle whose axis points up more than this; half-way: the cosine of 45 degrees
_HELD_M = 0.93  # height of a held bottle's middle; chosen 3 cm above what the rule asks


def plan(physics: Physics) -> NDArray[np.float64]:
    """Joint targets (T, 14), rad and m, 30 a second, for the scene as it stands. Raises Unreachable."""
    task = physics.task
    assert isinstance(task, DualBottlesPickEasy | DualBottlesPickHard)
    bottles = [physics.data.body(name) for name in NAMES.values()]
    places = [bottle.xpos.copy() for bottle in bottles]
    axes = [bottle.xmat.reshape(3, 3)[:, 2].copy() for bottle in bottles]
    sides = range(len(bottles))
    held = {side: np.array([*task.targets_m[arm], _HELD_M]) for side, arm in enumerate(NAMES)}

    def write(*pitches_rad: float) -> Script:
        script = Script.begin(physics)
        taken = {side: _grasp(side, places[side], axes[side], pitches_rad[side]) for side in sides}
        before = {side: hand.back(_BEFORE_M) for side, hand in taken.items()}
        script.move(1.4, before)
        script.move(0.8, taken)
        script.grip(0.4, dict.fromkeys(taken, 2 * task.bottle.radius_m - 0.02))
        script.move(0.8, {side: hand.at(z_m=_HELD_M - TABLE_TOP_M) for side, hand in taken.items()})
        there = {
            side: over(side, held[side], hand.pitch_rad).at(roll_rad=hand.roll_rad) for side, hand in taken.items()
        }
        script.move(1.4, there)
        script.wait(0.5)
        return script

    pitches_rad = (_SIDEWAYS_RAD if axis[2] > _STANDING else _FROM_ABOVE_RAD for axis in axes)
    return first_reachable(write, task.step_limit, *pitches_rad)


def _grasp(side: int, place_m: NDArray[np.float64], axis: NDArray[np.float64], pitch_rad: float) -> Hand:
    """The hand that takes a bottle, whose axis is (3,); it is rolled so that the fingers close across a lying one."""
    hand = over(side, place_m, pitch_rad)
    if axis[2] > _STANDING:
        return hand
    along_rad = np.arctan2(axis[1], axis[0]) - np.pi / 2 - hand.azimuth_rad  # base x is world y
    turn_rad = float((along_rad + np.pi / 2) % np.pi - np.pi / 2)  # a bottle has no front
    return hand.at(roll_rad=-turn_rad)  # about the fingers, which point down: the arm stays in its plane
