"""Brings the arms off their ready pose before a demonstration begins: then joints do not tell where they will go. Seeded.

Called by `demos.sh --randomise`. From one pose the way to a place is always the same, so a policy need look at its beginning
only: after that the joints tell the rest (models/shipped/README.md). From many poses it has to look all the way.
"""

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import HIGH, LOW, OPEN_GRIP_M, SIDES, TABLE_TOP_M, bases
from drivers.kinematics import FINGERTIP_M, link_poses
from drivers.sim import experts
from drivers.sim.experts.script import minimum_jerk
from drivers.sim.rates import DEMONSTRATION_HZ
from drivers.sim.rollout import Rollout

Array = NDArray[np.float64]
# All chosen: hands begin up to 20 cm aside, and still over the table.
_FROM_READY = 0.3  # of the episodes that begin where they always do
_ON_THE_WAY = 0.6  # of the others that begin somewhere on the expert's way to the first thing it takes
_LARGEST_RAD = np.array([0.45, 0.3, 0.3, 0.3, 0.25, 0.3, 0.0] * 2)  # off the ready pose, or the way
_LEAST_M = 0.06  # of the fingertips over the table
_BEFORE_GRIP_S = 0.6  # that is left of the way to the first grip at least
_TAKES_S, _SLOWER = 1.0, 3  # at least, of the way there; and so many times what the expert takes for it
_RESTS_S = 0.5  # at its end
_MARGIN_RAD = 0.03  # from the ends of the joints' ranges
_LOW, _HIGH = np.tile(LOW, 2), np.tile(HIGH, 2)  # of both arms
_GRIPS_M = 1e-3  # by which a gripper that begins to close differs from an open one
_GRIPPERS = [6, 13]  # places in the joint vector


def plan_from_anywhere(rollout: Rollout, random: np.random.Generator) -> Array:
    """Bring the arms of a scene that was reset to a pose drawn for its episode, at rest, and plan the task from there.

    Args:
        rollout: the scene, which goes on from there; a hand may have moved an object.
        random: all draws are taken from it.

    Returns:
        (T, 14) the expert's targets; rad, m.

    Raises:
        Unreachable: from there the expert finds no way.
    """
    if random.random() >= _FROM_READY:
        begin = rollout.physics.commands().ravel()[None]
        on_the_way = experts.plan(rollout.physics) if random.random() < _ON_THE_WAY else begin
        offset = random.uniform(-1, 1, len(_LARGEST_RAD)) * _LARGEST_RAD
        for target in _way(np.concatenate([begin, _some_of(on_the_way, random)]), offset):
            rollout.follow(target)
    return experts.plan(rollout.physics)


def _some_of(plan: Array, random: np.random.Generator) -> Array:
    """A beginning of a plan (T, 14) that ends a while before its first grip."""
    grips = np.abs(plan[:, _GRIPPERS] - OPEN_GRIP_M).max(axis=1) > _GRIPS_M
    free = int(grips.argmax()) - round(_BEFORE_GRIP_S * DEMONSTRATION_HZ)
    return plan[: int(random.integers(free)) + 1] if free > 0 else plan[:1]


def _way(plan: Array, offset: Array) -> Array:
    """Targets (T, 14) along a plan, calmly, and off it by as much of an offset as keeps the fingers high; then they stay."""
    steps = max(round(_TAKES_S * DEMONSTRATION_HZ), _SLOWER * len(plan))
    done = np.array([minimum_jerk(share) for share in np.linspace(0, 1, steps)])
    places = done * (len(plan) - 1)
    way = np.array([np.interp(places, np.arange(len(plan)), joint) for joint in plan.T]).T
    for share in (1.0, 0.5, 0.25, 0.0):
        away = np.clip(way[-1] + share * offset, _LOW + _MARGIN_RAD, _HIGH - _MARGIN_RAD) - way[-1]
        away[_GRIPPERS] = 0
        led = way + done[:, None] * away
        if share == 0.0 or min(_height_m(row) for row in led[::5]) > _LEAST_M:
            break
    return np.concatenate([led, np.tile(led[-1], (round(_RESTS_S * DEMONSTRATION_HZ), 1))])


def _height_m(joints: Array) -> float:
    """Of the lower hand's fingertips over the table, joints (14,)."""
    heights = list[float]()
    for base, q in zip(bases(), joints.reshape(len(SIDES), -1), strict=True):
        hand = base @ link_poses(q[:6])[5]
        heights.append(float(hand[2, 3] + FINGERTIP_M * hand[2, 2]) - TABLE_TOP_M)
    return min(heights)
