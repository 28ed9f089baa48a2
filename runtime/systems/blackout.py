"""When System 1 is blind under `--shift blackout`: every 3 s once, for 0.8 s, at a moment drawn from the seed.

Called by system1_step.py. It follows from the seed and a picture's capture time alone, so a replay is blind when the run was.
"""

from functools import lru_cache

import numpy as np

from runtime.host.clock import seconds

_PERIOD_S, _LONG_S = 3.0, 0.8  # chosen: a quarter of the time, several runs of System 1 each


def blacked_out(seed: int, capture_ns: int) -> bool:
    """Whether a picture that was taken then, CLOCK_MONOTONIC, is black."""
    period, since_ns = divmod(capture_ns, seconds(_PERIOD_S))
    return 0 <= since_ns - _begins_ns(seed, period) < seconds(_LONG_S)


@lru_cache(maxsize=16)
def _begins_ns(seed: int, period: int) -> int:
    """When in a period it begins; it ends within it."""
    return seconds(float(np.random.default_rng([seed, period]).uniform(0, _PERIOD_S - _LONG_S)))
