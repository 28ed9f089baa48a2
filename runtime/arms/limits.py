"""The limits that every command obeys, whatever a policy wants: range, velocity, acceleration, jerk, braking distance,
fingertip height and the distance between the arms. Deterministic; called at every tick. Joints: joint_limits.py.

Legend: J = 14 joints (both arms); rad and m, per s, s2, s3.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from runtime.arms.clearance import keeps_clear
from runtime.arms.collision import bases_of
from runtime.arms.joint_limits import brake_joints, stop_way, track_joints
from runtime.arms.trajectory import Motion
from runtime.config.settings import Safety
from runtime.messaging import messages

Array = NDArray[np.float64]
_RANGE_MARGIN = 0.01  # rad (gripper: a tenth of it): kept free at the ends of each range
_BEND_M_PER_RAD, _LARGEST_BEND_M = 0.12, 0.12
_STILL = np.zeros(messages.JOINTS)


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

    @cached_property
    def table(self) -> Array:
        """(5, J): low, high, velocity, acceleration, jerk."""
        return np.stack((self.low, self.high, self.velocity, self.acceleration, self.jerk))

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
    before, speed = np.array((now.q, now.dq, now.ddq)), _STILL if wanted_dq is None else np.array(wanted_dq)
    q, dq, ddq, way = track_joints(limits.table, before, np.array(wanted), speed, dt_s)
    candidate = Motion(q, dq, ddq)
    return candidate if _clear(limits, candidate, way, before[0]) else brake(limits, now, dt_s)


def brake(limits: Limits, now: Motion, dt_s: float) -> Motion:
    """The next command when both arms come to rest as fast as acceleration and jerk allow."""
    return Motion(*brake_joints(limits.table, np.array((now.q, now.dq, now.ddq)), dt_s))


def stop_distance(limits: Limits, dq: Array, ddq: Array) -> Array:
    """Way (J,), signed, until rest, overestimated."""
    joints = zip(limits.acceleration, limits.jerk, dq, ddq, strict=True)
    return np.array([stop_way(*map(float, joint)) for joint in joints])


def _clear(limits: Limits, candidate: Motion, way: Array, here: Array) -> bool:
    """Whether the poses through which the candidate could stop keep their distances, or at least are no worse than now.

    `way` (J,) is its stop distance. The joints do not stop all at once, so the real way bends off the line to where they do,
    the more the longer it is.
    """
    if not candidate.dq.any():
        return True
    bend_m = min(_BEND_M_PER_RAD * float(np.abs(way).max()), _LARGEST_BEND_M)
    least_m, nearest_m = limits.min_fingertip_m + bend_m, limits.min_arm_distance_m + bend_m
    return keeps_clear(candidate.q, way, here, limits.bases, limits.table_m, least_m, nearest_m)
