"""Attempts that go wrong, so that demonstrations begin where a policy's own failure would leave the scene. Seeded.

Called by `demos.sh --after-failure`.
"""

import numpy as np
from numpy.typing import NDArray

from drivers.sim.physics import Physics
from drivers.sim.rates import DEMONSTRATION_HZ
from drivers.sim.rollout import Rollout

Array = NDArray[np.float64]
_LARGEST_RAD = np.array(
    [0.12, 0.06, 0.06, 0.06, 0.06, 0.06, 0.0] * 2
)  # off the plan all the way; chosen: 27 mm at the hand in the mean, 61 at most, where a grasp forgives 15
_GROWS_S = 1.0  # in which the arm comes off the plan; chosen, so that it does not jerk
_HELD_M = 0.004
"""A gripper that stays open so much further than commanded holds something. Chosen: things are squeezed by 20 mm."""


def fail(rollout: Rollout, targets: Array, random: np.random.Generator) -> bool:
    """Carry out a plan (T, 14), rad and m, off by constant angles. Returns whether it failed and nothing is held."""
    off_rad = random.uniform(-1, 1, len(_LARGEST_RAD)) * _LARGEST_RAD
    for step, target in enumerate(targets):
        rollout.follow(target + off_rad * min(1.0, step / (_GROWS_S * DEMONSTRATION_HZ)))
    return not rollout.physics.success() and not _holding(rollout.physics)


def _holding(physics: Physics) -> bool:
    opened_m, commanded_m = physics.arms()[:, 0, -1], physics.commands()[:, -1]
    return bool((opened_m > commanded_m + _HELD_M).any())
