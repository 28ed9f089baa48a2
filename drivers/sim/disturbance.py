"""What knocks the arms off an expert's way in a demonstration, so that a policy sees how to come back. Seeded.

Called by `demos.sh`. The demonstration records the expert's own target as action: from where the disturbance brought the arm,
it leads back (Laskey et al. 2017, DART).
"""

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import WITHOUT_GRIPPERS
from drivers.sim.rates import DEMONSTRATION_HZ

Array = NDArray[np.float64]
_MOVED = np.array(WITHOUT_GRIPPERS)
# All sizes are chosen: experts still succeed, while a policy sees the hand centimetres off. At the ready pose:
_JOINTS = 14  # of both arms
_CLEAN_SHARE = 0.25  # of the episodes that are not disturbed
_LARGEST_TREMOR_RAD = 0.02  # standard deviation of a joint: 12 mm at the hand in the mean
_TREMOR_S = 0.4  # in which a tremor forgets all but 37 % of where it was
_BUMPS_S = 2.5  # one push in this time, on average: one or two an episode
_LARGEST_BUMP_RAD = 0.12  # of a push, in the joint that it moves most: 45 mm at the hand in the mean, 100 at most
_BUMP_S = (0.4, 1.2)  # how long a push lasts


def disturbance(random: np.random.Generator, steps: int) -> Array:
    """Offsets (steps, 14) in rad to a plan's targets: a slow tremor and some pushes; all zero in a quarter of the cases."""
    offsets = np.zeros((steps, _JOINTS))
    if random.random() >= _CLEAN_SHARE:
        offsets[:, _MOVED] = _tremor(random, steps) + _bumps(random, steps)
    return offsets


def _tremor(random: np.random.Generator, steps: int) -> Array:
    """Ornstein-Uhlenbeck walks (steps, 12) that begin at zero, of one drawn size for all joints; grippers do not tremble."""
    sigma_rad = random.uniform(0, _LARGEST_TREMOR_RAD)
    kept = np.exp(-1 / (_TREMOR_S * DEMONSTRATION_HZ))
    walk = np.zeros((steps, len(_MOVED)))
    for step in range(1, steps):
        fresh = random.normal(0, sigma_rad * np.sqrt(1 - kept**2), len(_MOVED))
        walk[step] = kept * walk[step - 1] + fresh
    return walk


def _bumps(random: np.random.Generator, steps: int) -> Array:
    """Pushes (steps, 12): every one a hump of a raised cosine in a direction of its own; their times are a Poisson process."""
    pushes = np.zeros((steps, len(_MOVED)))
    for _ in range(random.poisson(steps / DEMONSTRATION_HZ / _BUMPS_S)):
        length = round(random.uniform(*_BUMP_S) * DEMONSTRATION_HZ)
        begin = int(random.integers(max(1, steps - length)))
        hump = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
        direction = random.normal(0, 1, len(_MOVED))
        size_rad = random.uniform(0, _LARGEST_BUMP_RAD)
        push = hump[:, None] * size_rad * direction / np.abs(direction).max()
        pushes[begin : begin + length] += push[: steps - begin]
    return pushes
