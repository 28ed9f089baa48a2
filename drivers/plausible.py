"""Whether an arm's readings can be true: no farther apart than joints can move, inside their ranges, steady. Deterministic.

Called by the arm's driver before it switches motors on, and by runtime/arms/feedback.py for every reading of every arm.
Legend: q (7,) is six joints in rad and the gripper's opening in m.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drivers.arm import ARM_JOINTS

Array = NDArray[np.float64]
_REACH = ((10.0, 0.1),) * 6 + ((1.0, 0.02),)
"""Of each joint rad/s and rad; of the gripper m/s and m. Chosen: the first is three times what the arm accepts (3 rad/s), since
no arm that is moved by hand, pushed or falls is faster; the second is what a reading may be off by itself."""
_LATE_S = 0.01
"""How late a busy machine may stamp the reading before, so that the two seem closer in time than they are: two periods."""
_LONGEST_S = 0.05
"""After a longer silence as much is allowed as after this time. Chosen: the 50 ms after which `arms` calls feedback stale."""
_BEYOND = np.array([0.1] * 6 + [0.03])
"""rad; m. How far outside its range a joint may be read. Chosen: 6 degrees, since the stops are no sharper; grippers open up to
100 mm in some versions, 30 more than in the SDK."""
_STEADY = np.array([0.02] * 6 + [0.005])
"""rad; m. How far apart readings over 20 ms may be of an arm that does not move, or sinks slowly. Chosen: 1 rad/s."""


def jumped(before: Array, q: Array, passed_s: float) -> str:
    """How q is farther from the reading before it than the arm can have moved; empty: it is not.

    Args:
        before: (7,) the reading before.
        q: (7,) the reading.
        passed_s: between the stamps of the two, s.

    Returns:
        The joint, how far it jumped, and how far it could have.
    """
    time_s = min(max(passed_s, 0.0), _LONGEST_S) + _LATE_S
    for there, here, (fastest, slack) in zip(q.tolist(), before.tolist(), _REACH, strict=True):
        if not abs(there - here) <= fastest * time_s + slack:  # so for NaN
            return _jump(before, q, passed_s, np.array([fastest * time_s + slack for fastest, slack in _REACH]))
    return ""


def _jump(before: Array, q: Array, passed_s: float, reach: Array) -> str:
    """The joint that is farthest beyond its reach (7,), or reads no number."""
    if not np.isfinite(q).all():
        return f"{joint(int(np.isfinite(q).argmin()))} reads {q[np.isfinite(q).argmin()]}"
    moved = np.abs(q - before)
    worst = int((moved / reach).argmax())
    unit = "m" if worst == ARM_JOINTS - 1 else "rad"
    return f"{joint(worst)} by {moved[worst]:.2f} {unit} in {passed_s * 1e3:.0f} ms (limit {reach[worst]:.2f} {unit})"


def outside(q: Array, low: Sequence[float], high: Sequence[float]) -> str:
    """Which joint of q (7,) is read farthest outside its range, given by 7 values each; empty: none is."""
    low_q, high_q = np.asarray(low), np.asarray(high)
    beyond = np.maximum(low_q - q, q - high_q) / _BEYOND
    worst = int(beyond.argmax())
    if beyond[worst] <= 1:
        return ""
    unit = "m" if worst == ARM_JOINTS - 1 else "rad"
    return f"{joint(worst)} is at {q[worst]:.2f} {unit}, outside its range {low_q[worst]:.2f} to {high_q[worst]:.2f} {unit}"


def unsteady(readings: Sequence[Array]) -> str:
    """Which joint moves, or is read wrongly now and then, over readings (7,) each; empty: none."""
    spread = np.ptp(np.stack(readings), axis=0)
    worst = int((spread / _STEADY).argmax())
    if spread[worst] <= _STEADY[worst]:
        return ""
    unit = "m" if worst == ARM_JOINTS - 1 else "rad"
    return f"{joint(worst)} is not steady: readings {spread[worst]:.3f} {unit} apart (limit {_STEADY[worst]} {unit})"


def joint(index: int) -> str:
    """How a message names a joint by its index in q: `j1` to `j6`, or `gripper`."""
    return "gripper" if index == ARM_JOINTS - 1 else f"j{index + 1}"
