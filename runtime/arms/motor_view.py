"""An arm's targets as its motors see them: at the times at which they were sent, joined by straight lines.
Called by the benchmark of hostile chunks, the command `faults` and tests; nothing of the running robot.

A target that comes late is an arm that stands meanwhile, whatever the numbers of the targets say.
"""

import numpy as np
from numpy.typing import NDArray

from runtime.arms.limits import Limits
from runtime.host.clock import NS_PER_S

Array = NDArray[np.float64]
WINDOW_S = 0.02
"""Over which speeds are measured where times are real ones. Chosen: four ticks. A target that goes out 0.3 ms late at 1 rad/s
is 0.75 rad/s2 by it, a seventh of the limit; a speed of 1 rad/s that ends at once is ten times the limit."""


def shares(
    limits: Limits, at_ns: NDArray[np.int64], q: Array, window_s: float = WINDOW_S, until_ns: int = 0
) -> dict[str, float]:
    """How much of the limits on speed and acceleration is used at most, 1 being all of it.

    Args:
        limits: Of both arms, or of as many joints as `q` has.
        at_ns: (N,) when each target was sent, rising.
        q: (N, J) targets of one arm (J = 7, the left one's limits count) or of both, rad, grippers m.
        window_s: Over which a speed is measured; one tick where the times are exact.
        until_ns: Up to when nothing else was sent; until then the arm stands where it was sent last. Else what comes after
            the last target is not judged.

    Returns:
        `velocity` and `acceleration`; 0 where the record is shorter than a window.
    """
    found = shares_at(limits, at_ns, q, window_s, until_ns)
    return {name: float(each.max(initial=0.0)) for name, each in found.items()}


def shares_at(
    limits: Limits, at_ns: NDArray[np.int64], q: Array, window_s: float = WINDOW_S, until_ns: int = 0
) -> dict[str, Array]:
    """The same around each target up to the last one that can be judged, (K,): for the parts of one long record."""
    joints = q.shape[1]
    at_s = (at_ns - at_ns[0]) / NS_PER_S
    judged_s = at_s[at_s + window_s <= (max(until_ns, int(at_ns[-1])) - at_ns[0]) / NS_PER_S]
    before, now, after = (_joined(at_s, q, judged_s + shift) for shift in (-window_s, 0.0, window_s))
    speed = (after - now) / window_s
    change = (after - 2 * now + before) / window_s**2
    return {
        "velocity": np.abs(speed / limits.velocity[:joints]).max(axis=1),
        "acceleration": np.abs(change / limits.acceleration[:joints]).max(axis=1),
    }


def _joined(at_s: Array, q: Array, when_s: Array) -> Array:
    """(M, J) where the lines are at other times; before the first target and after the last one they stand."""
    return np.stack([np.interp(when_s, at_s, q[:, joint]) for joint in range(q.shape[1])], axis=1)
