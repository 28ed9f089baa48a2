"""Attempts that go wrong, so that demonstrations begin where a policy's own failure would leave the scene. Seeded."""

import numpy as np
from numpy.typing import NDArray

from drivers.sim.physics import Physics
from drivers.sim.rollout import Rollout
from drivers.sim.tasks.task import DEMONSTRATION_HZ

Array = NDArray[np.float64]
_LARGEST_RAD = np.array(
    [0.12, 0.06, 0.06, 0.06, 0.06, 0.06, 0.0] * 2
)  # off the plan all the way: centimetres at the hand
_GROWS_S = 1.0
_HELD_M = 0.004  # a gripper that stays open so much further than it was told holds something


def fail(rollout: Rollout, targets: Array, random: np.random.Generator) -> bool:
    """Carry out a plan (T, 14) that is off by some constant angles. Returns whether it failed and nothing is held."""
    off_rad = random.uniform(-1, 1, len(_LARGEST_RAD)) * _LARGEST_RAD
    for step, target in enumerate(targets):
        rollout.follow(target + off_rad * min(1.0, step / (_GROWS_S * DEMONSTRATION_HZ)))
    return not rollout.physics.success() and not _holding(rollout.physics)


def _holding(physics: Physics) -> bool:
    opened_m, commanded_m = physics.arms()[:, 0, -1], physics.commands()[:, -1]
    return bool((opened_m > commanded_m + _HELD_M).any())
