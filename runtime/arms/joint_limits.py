"""One joint within its range, velocity, acceleration and jerk: the next command, and the way it needs to stop.

Compiled; called by limits.py for all joints at every tick. Legend: J joints; q rad (gripper m), dq per s, ddq per s2; dt_s is
one tick. `limits` (5, J): low, high, velocity, acceleration, jerk. `now` (3, J): q, dq, ddq.
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from runtime.host.compiled import compiled, part

Array = NDArray[np.float64]
_BRAKE_MARGIN = 1.25
"""A stop winds its acceleration down early, by `_PROFILE_SHARE`, so its way is longer than that of the fastest stop. How much,
test_limits.py measures over random speeds and accelerations."""
_PROFILE_SHARE = 0.7
"""Share of the acceleration that is planned with when closing in on a target; the rest is there to follow the plan with."""
_JERK_SHARE = 0.3
"""Of the jerk. A stop over a gap d by jerk j alone begins at the speed (j d^2)^(1/3); a third of j is planned with."""
_CLOSING_TICKS = 12  # the last stretch is closed exponentially, over this many ticks
_ROUNDING = 1e-9  # a limit is kept up to this share: a command that uses it fully is off by some 1e-16


@part
def _sign(value: float) -> float:
    return 1.0 if value > 0 else -1.0 if value < 0 else 0.0


@part
def stop_way(acceleration: float, jerk: float, dq: float, ddq: float) -> float:
    """Way until rest, signed, overestimated: first the acceleration winds down, then a braking trapezoid."""
    sign = _sign(dq) if dq != 0 else _sign(ddq)
    speed, gain = abs(dq), max(sign * ddq, 0.0)
    peak = speed + gain * gain / (2 * jerk)
    before = speed * gain / jerk + gain * gain * gain / (3 * (jerk * jerk))
    if peak > acceleration * acceleration / jerk:
        braking = peak * peak / (2 * acceleration) + peak * acceleration / (2 * jerk)
    else:  # it never reaches the full acceleration
        braking = peak * sqrt(peak / jerk)
    return sign * (before + braking) * _BRAKE_MARGIN


@part
def _steered_ddq(limits: Array, now_ns: Array, wanted_dq: float, dt_s: float) -> float:
    """The acceleration that brings the velocity to `wanted_dq`, winding down in time; limits (5,), now (3,) of one joint."""
    acceleration, jerk = limits[3], limits[4]
    gap = wanted_dq - now_ns[1]
    most = min(acceleration, sqrt(2 * _PROFILE_SHARE * jerk * abs(gap)), abs(gap) / dt_s)
    step = jerk * dt_s
    ddq = min(max(_sign(gap) * most, now_ns[2] - step), now_ns[2] + step)
    return min(max(ddq, -acceleration), acceleration)


@part
def _closing_speed(limits: Array, error: float, dt_s: float) -> float:
    """Speed with which to close in on a target: no faster than can be braked before it, by acceleration and by jerk."""
    gap = abs(error)
    by_acceleration = sqrt(2 * _PROFILE_SHARE * limits[3] * gap)
    by_jerk = np.cbrt(_JERK_SHARE * limits[4] * (gap * gap))
    gentle = gap / (_CLOSING_TICKS * dt_s)
    return _sign(error) * min(by_acceleration, by_jerk, gentle, limits[2])


@part
def _is_within(limits: Array, now_ns: Array, made: Array, dt_s: float) -> bool:
    return (
        abs(made[1]) <= limits[2]
        and abs(made[2]) <= limits[3]
        and abs(made[2] - now_ns[2]) <= limits[4] * dt_s * (1 + _ROUNDING)
    )


@part
def _can_stop(limits: Array, made: Array, way: float, dt_s: float) -> bool:
    """Whether it could still stop, on its `way`, inside its range and under its velocity limit."""
    low, high, velocity, jerk = limits[0], limits[1], limits[2], limits[4]
    reach = made[0] + way + made[1] * dt_s
    peak = abs(made[1] + _sign(made[2]) * (made[2] * made[2]) / (2 * jerk))
    inside = reach <= high if made[1] >= 0 else reach >= low
    return inside and peak <= velocity * (1 + _ROUNDING)


@part
def _advance(now_ns: Array, ddq: float, dt_s: float, made: Array) -> None:
    made[2] = ddq
    made[1] = now_ns[1] + ddq * dt_s
    made[0] = now_ns[0] + made[1] * dt_s


@part
def _approach(limits: Array, now_ns: Array, wanted: float, wanted_dq: float, dt_s: float, made: Array) -> None:
    """Straight to `wanted` where velocity, acceleration and jerk allow; else guided by the closing speed."""
    target = min(max(wanted, limits[0]), limits[1])
    made[1] = (target - now_ns[0]) / dt_s
    made[0] = now_ns[0] + made[1] * dt_s
    made[2] = (made[1] - now_ns[1]) / dt_s
    if _is_within(limits, now_ns, made, dt_s):
        return
    along = wanted_dq if target == wanted else 0.0
    closing = along + _closing_speed(limits, target - now_ns[0] - along * dt_s, dt_s)
    ddq = _steered_ddq(limits, now_ns, min(max(closing, -limits[2]), limits[2]), dt_s)
    _advance(now_ns, ddq, dt_s, made)


@compiled("f8[:,::1](f8[:,::1],f8[:,::1],f8[::1],f8[::1],f8)")
def track_joints(limits: Array, now_ns: Array, wanted: Array, wanted_dq: Array, dt_s: float) -> Array:
    """The next q, dq, ddq on the way to `wanted` (J,), which moves with `wanted_dq`, and its way until rest: (4, J).

    Braked where a joint could not stop any more inside its range.
    """
    made = np.empty((4, now_ns.shape[1]))
    for joint in range(now_ns.shape[1]):
        of_joint, before, after = limits[:, joint], now_ns[:, joint], made[:, joint]
        _approach(of_joint, before, wanted[joint], wanted_dq[joint], dt_s, after)
        after[3] = stop_way(of_joint[3], of_joint[4], after[1], after[2])
        if not _can_stop(of_joint, after, after[3], dt_s):
            _advance(before, _steered_ddq(of_joint, before, 0.0, dt_s), dt_s, after)
            after[3] = stop_way(of_joint[3], of_joint[4], after[1], after[2])
    return made


@compiled("f8[:,::1](f8[:,::1],f8[:,::1],f8)")
def brake_joints(limits: Array, now_ns: Array, dt_s: float) -> Array:
    """The next q, dq, ddq (3, J) when all joints come to rest as fast as acceleration and jerk allow."""
    made = np.empty_like(now_ns)
    for joint in range(now_ns.shape[1]):
        ddq = _steered_ddq(limits[:, joint], now_ns[:, joint], 0.0, dt_s)
        _advance(now_ns[:, joint], ddq, dt_s, made[:, joint])
    return made
