"""The limits that every command obeys, whatever a policy wants: range, velocity, acceleration, jerk, braking distance,
fingertip height and the distance between the arms. Pure; the safety layer calls it at every tick.

Legend: J = 14 joints (both arms); rad and m, per s, s2, s3.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.arms.collision import arm_distance_m, bases_of, fingertip_height_m, sideways_gap_m, skeleton
from runtime.arms.trajectory import Motion
from runtime.config.settings import Safety

Array = NDArray[np.float64]
_BRAKE_MARGIN = 1.25  # the braking law is not time-optimal; its distance is overestimated by this
_PROFILE_SHARE = 0.7  # share of the acceleration limit used when closing in on a target
_JERK_SHARE = 0.3
_CLOSING_TICKS = 12  # the last stretch is closed exponentially, over this many ticks
_RANGE_MARGIN = 0.01  # rad (gripper: a tenth of it): kept free at the ends of each range
_ROUNDING = 1e-9
_BEND_M_PER_RAD, _LARGEST_BEND_M = 0.12, 0.12
_STOP_SHARES = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])  # where on the way to rest the distances are checked


@dataclass(frozen=True)
class Limits:
    """Per joint of both arms, (J,) each."""

    low: Array
    high: Array
    velocity: Array
    acceleration: Array
    jerk: Array
    min_fingertip_m: float
    min_arm_distance_m: float
    bases: Array  # (2, 4, 4) where the arms stand in the world
    table_m: float

    @classmethod
    def of(cls, safety: Safety) -> "Limits":
        """From the settings, which hold them for one arm."""
        margin = np.array([_RANGE_MARGIN] * 6 + [_RANGE_MARGIN / 10] + [_RANGE_MARGIN] * 6 + [_RANGE_MARGIN / 10])
        low, high, velocity, acceleration, jerk = (
            np.tile(np.array(values, dtype=np.float64), 2)
            for values in (safety.low, safety.high, safety.velocity, safety.acceleration, safety.jerk)
        )
        low[[6, 13]] -= margin[6]  # a closed gripper is its normal place
        high[[6, 13]] += margin[6]
        mount = safety.mount
        distances = safety.min_fingertip_m, safety.min_arm_distance_m, bases_of(mount), mount.table_m
        return cls(low + margin, high - margin, velocity, acceleration, jerk, *distances)


def track(limits: Limits, now: Motion, wanted: Array, dt_s: float, wanted_dq: Array | None = None) -> Motion:
    """The next command on the way to `wanted` (J,): exactly there when no limit forbids it, else as close as they allow.

    `wanted_dq` (J,) is the speed of a moving target; without it, what was left behind once would never be caught up.
    """
    target = np.clip(wanted, limits.low, limits.high)
    candidate = _approach(limits, now, wanted, target, dt_s, wanted_dq)
    way = stop_distance(limits, candidate.dq, candidate.ddq)
    stops = _can_stop(limits, candidate, way, dt_s)
    if not stops.all():
        candidate = _pick(stops, candidate, brake(limits, now, dt_s))
        way = stop_distance(limits, candidate.dq, candidate.ddq)
    return candidate if _clear(limits, candidate, way, now) else brake(limits, now, dt_s)


def _approach(
    limits: Limits, now: Motion, wanted: Array, target: Array, dt_s: float, wanted_dq: Array | None
) -> Motion:
    """Straight to `target` where velocity, acceleration and jerk allow, per joint; else guided by the closing speed."""
    direct = _toward(now, (target - now.q) / dt_s, dt_s)
    free = (
        (np.abs(direct.dq) <= limits.velocity)
        & (np.abs(direct.ddq) <= limits.acceleration)
        & (np.abs(direct.ddq - now.ddq) <= limits.jerk * dt_s * (1 + _ROUNDING))
    )
    if free.all():
        return direct
    along = np.zeros_like(target) if wanted_dq is None else np.where(target == wanted, wanted_dq, 0.0)
    closing = along + _closing_speed(limits, target - now.q - along * dt_s, dt_s)
    guided = _bounded(limits, now, np.clip(closing, -limits.velocity, limits.velocity), dt_s)
    return _pick(free, direct, guided)


def brake(limits: Limits, now: Motion, dt_s: float) -> Motion:
    """The next command when both arms come to rest as fast as acceleration and jerk allow."""
    return _bounded(limits, now, np.zeros_like(now.q), dt_s)


def stop_distance(limits: Limits, dq: Array, ddq: Array) -> Array:
    """Way (J,), signed, until rest, overestimated: first the acceleration winds down, then a braking trapezoid."""
    sign = np.where(dq == 0, np.sign(ddq), np.sign(dq))
    speed, gain = np.abs(dq), np.maximum(sign * ddq, 0.0)
    peak = speed + gain**2 / (2 * limits.jerk)
    before = speed * gain / limits.jerk + gain**3 / (3 * limits.jerk**2)
    full = limits.acceleration**2 / limits.jerk
    trapezoid = peak**2 / (2 * limits.acceleration) + peak * limits.acceleration / (2 * limits.jerk)
    triangle = peak * np.sqrt(peak / limits.jerk)
    return sign * (before + np.where(peak > full, trapezoid, triangle)) * _BRAKE_MARGIN


def _clear(limits: Limits, candidate: Motion, way: Array, now: Motion) -> bool:
    """Whether the poses through which the candidate could stop keep their distances, or at least are no worse than now.

    `way` (J,) is its stop distance.
    """
    if not np.abs(candidate.dq).max() > 0:
        return True
    stop = skeleton(candidate.q + _STOP_SHARES[:, None] * way, limits.bases)
    # The joints do not stop all at once, so the real way bends off this line, the more the longer it is.
    margin_m = min(_BEND_M_PER_RAD * float(np.abs(way).max()), _LARGEST_BEND_M)
    least_m, nearest_m = limits.min_fingertip_m + margin_m, limits.min_arm_distance_m + margin_m
    height, distance = fingertip_height_m(stop, limits.table_m), sideways_gap_m(stop)
    if height >= least_m and distance >= nearest_m:
        return True
    distance = arm_distance_m(stop)
    if height >= least_m and distance >= nearest_m:
        return True
    here = skeleton(now.q, limits.bases)
    low = height < least_m and height < fingertip_height_m(here, limits.table_m)
    close = distance < nearest_m and distance < arm_distance_m(here)
    return not (low or close)


def _can_stop(limits: Limits, candidate: Motion, way: Array, dt_s: float) -> NDArray[np.bool_]:
    """Per joint: whether it could still stop, on its `way` (J,), inside its range and under its velocity limit."""
    reach = candidate.q + way + candidate.dq * dt_s
    peak = np.abs(candidate.dq + np.sign(candidate.ddq) * candidate.ddq**2 / (2 * limits.jerk))
    outward = np.where(candidate.dq >= 0, reach <= limits.high, reach >= limits.low)
    return outward & (peak <= limits.velocity * (1 + _ROUNDING))


def _closing_speed(limits: Limits, error: Array, dt_s: float) -> Array:
    """Speed with which to close in on a target: no faster than can be braked before it, by acceleration and by jerk."""
    gap = np.abs(error)
    by_acceleration = np.sqrt(2 * _PROFILE_SHARE * limits.acceleration * gap)
    by_jerk = np.cbrt(_JERK_SHARE * limits.jerk * gap**2)
    gentle = gap / (_CLOSING_TICKS * dt_s)
    return np.sign(error) * np.minimum.reduce([by_acceleration, by_jerk, gentle, limits.velocity])


def _bounded(limits: Limits, now: Motion, wanted_dq: Array, dt_s: float) -> Motion:
    """Steer the velocity to `wanted_dq` within acceleration and jerk, winding the acceleration down in time."""
    gap = wanted_dq - now.dq
    wind_down = np.sqrt(2 * _PROFILE_SHARE * limits.jerk * np.abs(gap))
    most = np.minimum(np.minimum(limits.acceleration, wind_down), np.abs(gap) / dt_s)
    wanted = np.sign(gap) * most
    step = limits.jerk * dt_s
    ddq = np.clip(np.clip(wanted, now.ddq - step, now.ddq + step), -limits.acceleration, limits.acceleration)
    return _advance(now, ddq, dt_s)


def _toward(now: Motion, dq: Array, dt_s: float) -> Motion:
    return Motion(now.q + dq * dt_s, dq, (dq - now.dq) / dt_s)


def _advance(now: Motion, ddq: Array, dt_s: float) -> Motion:
    dq = now.dq + ddq * dt_s
    return Motion(now.q + dq * dt_s, dq, ddq)


def _pick(first: NDArray[np.bool_], a: Motion, b: Motion) -> Motion:
    return Motion(np.where(first, a.q, b.q), np.where(first, a.dq, b.dq), np.where(first, a.ddq, b.ddq))
