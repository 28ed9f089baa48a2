"""One joint within its range, velocity, acceleration and jerk: the next command, and the way it needs to stop.
Compiled; called by limits.py for all joints at every tick.

Legend: J joints; q rad (gripper m), dq per s, ddq per s2; dt_s is one tick. `limits` (5, J): low, high, velocity,
acceleration, jerk. `now_ns` and `made` (3, J): q, dq, ddq, before and after the tick. One joint's are (5,) and (3,).
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from runtime.host.compiled import compiled, cube_root, part

Array = NDArray[np.float64]
_BRAKE_MARGIN = 1.25
"""Chosen: a quarter in reserve. Measured over 64,000 random speeds and accelerations at 20 to 1000 Hz and jerks of 20 to 1000
rad/s3: `brake_joints` needs at most 1.03 of the estimate without it, at 200 Hz with the default limits at most 0.985."""
_PROFILE_SHARE = 0.7
"""Share of acceleration and jerk that is planned with; the rest is there to follow the plan with. Measured over 60 steps of
0.01 to 4 rad (200 Hz, default limits): the largest share without overshoot, 0.1 mrad at 0.7, 27 at 0.8, 118 at 0.9."""
_JERK_SHARE = 0.3
"""Share of the jerk. A stop over a gap d by jerk j alone begins at the speed (j d^2)^(1/3). Measured over the same steps: the
largest share without overshoot, 0.1 mrad at 0.3, 9 at 0.4; at 0.2 a step takes 0.08 s longer."""
_CLOSING_TICKS = 12
"""The last stretch is closed exponentially, with this time constant (60 ms at 200 Hz). Measured over the same steps: overshoot
0.33 mrad at 2 ticks, 0.14 at 12, 0.07 at 24; mean time to 1 mrad 0.70 s, 0.72 s, 0.90 s."""
_ROUNDING = 1e-9
"""A limit is kept up to this share: float64 rounds a tick by some 1e-16 of its values, and no reading resolves 1e-9."""


@part
def _sign(value: float) -> float:
    return 1.0 if value > 0 else -1.0 if value < 0 else 0.0


@part
def stop_way(acceleration: float, jerk: float, dq: float, ddq: float) -> float:
    """Signed way until rest: first the acceleration winds down, then a braking trapezoid. Overestimated by `_BRAKE_MARGIN`.

    Args:
        acceleration: Limit, per s2.
        jerk: Limit, per s3.
        dq: Speed now, per s.
        ddq: Acceleration now, per s2; one that already brakes shortens nothing.

    Returns:
        rad (gripper m), in the direction of `dq`; without speed, in that of `ddq`.
    """
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
    """The acceleration that brings the speed of one joint to `wanted_dq` and is back at 0 when it gets there."""
    acceleration, jerk = limits[3], limits[4]
    gap = wanted_dq - now_ns[1]
    most = min(acceleration, sqrt(2 * _PROFILE_SHARE * jerk * abs(gap)), abs(gap) / dt_s)
    step = jerk * dt_s
    ddq = min(max(_sign(gap) * most, now_ns[2] - step), now_ns[2] + step)
    return min(max(ddq, -acceleration), acceleration)


@part
def _closing_speed(limits: Array, error: float, dt_s: float) -> float:
    """Signed speed at which to close an `error`: no faster than acceleration and jerk can brake before the target."""
    gap = abs(error)
    by_acceleration = sqrt(2 * _PROFILE_SHARE * limits[3] * gap)
    by_jerk = cube_root(_JERK_SHARE * limits[4] * (gap * gap))
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
    """Whether the joint could still stop, on its `way`, inside its range and without passing its velocity limit."""
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
    """Write the next motion: straight to `wanted` where the limits allow it within one tick, else by the closing speed."""
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
    """The next motion on the way to a target. A joint that could no longer stop inside its range brakes instead.

    Args:
        limits: (5, J).
        now_ns: (3, J).
        wanted: (J,) target; clipped to the range.
        wanted_dq: (J,) speed of the target, per s.
        dt_s: One tick.

    Returns:
        (4, J): q, dq, ddq, and the signed way until rest (`stop_way`).
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
    """The next motion when all joints come to rest as fast as acceleration and jerk allow.

    Args:
        limits: (5, J); range and velocity are not read.
        now_ns: (3, J).
        dt_s: One tick.

    Returns:
        (3, J): q, dq, ddq.
    """
    made = np.empty_like(now_ns)
    for joint in range(now_ns.shape[1]):
        ddq = _steered_ddq(limits[:, joint], now_ns[:, joint], 0.0, dt_s)
        _advance(now_ns[:, joint], ddq, dt_s, made[:, joint])
    return made
