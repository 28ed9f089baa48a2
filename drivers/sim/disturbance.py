"""What knocks the arms off an expert's way in a demonstration, so that a policy sees how to come back. Seeded.

The demonstration records the expert's own target as action: from the place where the disturbance brought the arm, it leads back
(Laskey et al. 2017, DART).
"""

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import WITHOUT_GRIPPERS
from drivers.sim.tasks.task import DEMONSTRATION_HZ

Array = NDArray[np.float64]
_MOVED = np.array(WITHOUT_GRIPPERS)
_JOINTS = 14
_CLEAN_SHARE = 0.25  # of the episodes
_LARGEST_TREMOR_RAD = 0.02
_TREMOR_S = 0.4  # how long a tremor remembers
_BUMPS_S = 2.5  # one push in this time, on average
_LARGEST_BUMP_RAD = 0.12
_BUMP_S = (0.4, 1.2)  # how long a push lasts


def disturbance(random: np.random.Generator, steps: int) -> Array:
    """Offsets (steps, 14) in rad to a plan's targets: a slow tremor and some pushes, none at all in a quarter of the cases."""
    offsets = np.zeros((steps, _JOINTS))
    if random.random() >= _CLEAN_SHARE:
        offsets[:, _MOVED] = _tremor(random, steps) + _bumps(random, steps)
    return offsets


def _tremor(random: np.random.Generator, steps: int) -> Array:
    """An Ornstein-Uhlenbeck walk that begins at zero."""
    sigma_rad = random.uniform(0, _LARGEST_TREMOR_RAD)
    kept = np.exp(-1 / (_TREMOR_S * DEMONSTRATION_HZ))
    walk = np.zeros((steps, len(_MOVED)))
    for step in range(1, steps):
        fresh = random.normal(0, sigma_rad * np.sqrt(1 - kept**2), len(_MOVED))
        walk[step] = kept * walk[step - 1] + fresh
    return walk


def _bumps(random: np.random.Generator, steps: int) -> Array:
    """Pushes: every one a hump of a raised cosine in a direction of its own."""
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
