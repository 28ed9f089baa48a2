"""The limits that every command obeys, whatever a policy wants: range, velocity, acceleration, jerk, braking distance,
the height of fingertips and links, the distance between the arms and within each. Deterministic.
Called by motion.py at every tick. One joint's arithmetic: joint_limits.py.

Legend: J = 14 joints (both arms); q rad (grippers m), dq per s, ddq per s2.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from runtime.arms.clearance import keeps_clear
from runtime.arms.collision import bases_of
from runtime.arms.joint_limits import brake_joints, stop_way, track_joints
from runtime.arms.trajectory import Motion
from runtime.config.safety_settings import Safety
from runtime.host.compiled import compiled
from runtime.messaging import messages

Array = NDArray[np.float64]
_RANGE_MARGIN = 0.01
"""rad (gripper: a tenth of it, m), kept free at the ends of each range. Chosen: six steps of the 0.1 degrees in which a Piper
stores its own ranges (frame 0x473), so that no command reaches an end that the arm rounded inwards."""
_BEND_M_PER_RAD, _LARGEST_BEND_M = 0.12, 0.12
"""m per rad of the longest joint's way, and m at most: how far the real way may leave the straight line to the stop.
Measured over 12,000 random stops at 200 Hz: the 99th percentile is 0.017 m per rad for the fingertips and 0.025 for the arms'
distance, the largest bend 0.035 and 0.087 m; one stop in each exceeded the allowance, by less than 1 mm."""
_LINK_BEND_M_PER_RAD, _LARGEST_LINK_BEND_M, _LARGEST_OWN_BEND_M, _PASSING_M_PER_RAD2 = 0.04, 0.05, 0.03, 0.015
"""The same for the height of an arm's links, and for the distance between them. The latter bends with the way of the joint that
moves second most, since one joint alone takes the straight way; `_PASSING_M_PER_RAD2` is what lies between two checked poses.
Measured over 24,000 random stops of an arm at 200 Hz, half of them folded: the 99.9th percentile is 0.030 m per rad for the
height and 0.018 for the distance, the largest bend 0.047 and 0.028 m. None exceeded the allowance by more than 1.5, 1.2 mm."""
_STILL = np.zeros(messages.JOINTS)


@dataclass(frozen=True)
class Limits:
    """The safety settings of one run as arrays for both arms, (J,) each."""

    low: Array
    high: Array
    velocity: Array
    acceleration: Array
    jerk: Array
    min_fingertip_m: float
    min_arm_distance_m: float
    min_link_height_m: float
    min_own_distance_m: float
    bases: Array  # (2, 4, 4) where the arms stand in the world
    table_m: float

    @cached_property
    def table(self) -> Array:
        """(5, J) as joint_limits.py takes it: low, high, velocity, acceleration, jerk."""
        return np.stack((self.low, self.high, self.velocity, self.acceleration, self.jerk))

    @cached_property
    def distances(self) -> Array:
        """(4,) the least distances, m, in the order of their fields."""
        return np.array(
            (self.min_fingertip_m, self.min_arm_distance_m, self.min_link_height_m, self.min_own_distance_m)
        )

    @classmethod
    def of(cls, safety: Safety) -> "Limits":
        """The limits of both arms from the settings, which hold those of one.

        Args:
            safety: Ranges, speeds, distances, and where the arms stand.

        Returns:
            The same for both arms, with ranges narrowed by `_RANGE_MARGIN` (a gripper's is not).
        """
        margin = np.array([_RANGE_MARGIN] * 6 + [_RANGE_MARGIN / 10] + [_RANGE_MARGIN] * 6 + [_RANGE_MARGIN / 10])
        low, high, velocity, acceleration, jerk = (
            np.tile(np.array(values, dtype=np.float64), 2)
            for values in (safety.low, safety.high, safety.velocity, safety.acceleration, safety.jerk)
        )
        low[[6, 13]] -= margin[6]  # a closed gripper is its normal place
        high[[6, 13]] += margin[6]
        mount = safety.mount
        distances = (
            safety.min_fingertip_m,
            safety.min_arm_distance_m,
            safety.min_link_height_m,
            safety.min_own_distance_m,
        )
        return cls(
            low + margin, high - margin, velocity, acceleration, jerk, *distances, bases_of(mount), mount.table_m
        )


def track(limits: Limits, now: Motion, wanted: Array, dt_s: float, wanted_dq: Array | None = None) -> Motion:
    """The next command on the way to a target: exactly there when no limit forbids it, else as close as they allow.

    It brakes where the poses of its stop would come too near the table, the other arm or itself (`next_command`).

    Args:
        limits: Of both arms.
        now: The command of the last tick.
        wanted: (J,) target, rad, grippers m.
        dt_s: One tick.
        wanted_dq: (J,) speed of a moving target, per s; without it the command stays a constant way behind it.

    Returns:
        The command of this tick, inside all limits if `now` was.
    """
    before, speed = np.array((now.q, now.dq, now.ddq)), _STILL if wanted_dq is None else np.array(wanted_dq)
    return Motion(
        *next_command(
            limits.table, before, np.array(wanted), speed, dt_s, limits.bases, limits.table_m, limits.distances
        )
    )


def brake(limits: Limits, now: Motion, dt_s: float) -> Motion:
    """The next command when both arms come to rest as fast as acceleration and jerk allow.

    Args:
        limits: Of both arms.
        now: The command of the last tick.
        dt_s: One tick.

    Returns:
        The command of this tick.
    """
    return Motion(*brake_joints(limits.table, np.array((now.q, now.dq, now.ddq)), dt_s))


def stop_distance(limits: Limits, dq: Array, ddq: Array) -> Array:
    """How far each joint moves until rest, overestimated by a quarter (joint_limits.stop_way).

    Args:
        limits: Of both arms.
        dq: (J,) per s.
        ddq: (J,) per s2.

    Returns:
        (J,) signed, rad, grippers m.
    """
    joints = zip(limits.acceleration, limits.jerk, dq, ddq, strict=True)
    return np.array([stop_way(*map(float, joint)) for joint in joints])


@compiled("f8(f8[::1])")
def bend_m(way: Array) -> float:
    """How far the real way of a stop may leave the straight line, m.

    Args:
        way: (J,) until rest.

    Returns:
        `_BEND_M_PER_RAD` for the joint that moves most, `_LARGEST_BEND_M` at most.
    """
    longest = 0.0
    for joint in range(len(way)):
        longest = max(longest, abs(way[joint]))
    return min(_BEND_M_PER_RAD * longest, _LARGEST_BEND_M)


@compiled("f8[:,::1](f8[::1],f8,f8)")
def least_of_links_m(way: Array, height_m: float, own_m: float) -> Array:
    """What is asked of the links of each arm at the checked poses of a stop, so that the real way keeps the two limits.

    Args:
        way: (J,) until rest.
        height_m: Least height of a link over the table.
        own_m: Least distance between links of the same arm; its first joint changes none.

    Returns:
        (2, 2) of each arm the height and the distance, m.
    """
    least_m = np.empty((2, 2))
    for arm in range(2):
        turned, longest, second = abs(way[7 * arm]), 0.0, 0.0
        for joint in range(7 * arm + 1, 7 * arm + 6):
            joint_way = abs(way[joint])
            second = max(second, min(longest, joint_way))
            longest = max(longest, joint_way)
        bend = _LINK_BEND_M_PER_RAD * max(turned, longest)
        own_bend = _LINK_BEND_M_PER_RAD * second + _PASSING_M_PER_RAD2 * longest * longest
        least_m[arm, 0] = height_m + min(bend, _LARGEST_LINK_BEND_M)
        least_m[arm, 1] = own_m + min(own_bend, _LARGEST_OWN_BEND_M)
    return least_m


@compiled("f8[:,::1](f8[:,::1],f8[:,::1],f8[::1],f8[::1],f8,f8[:,:,::1],f8,f8[::1])")
def next_command(
    table: Array, before: Array, wanted: Array, wanted_dq: Array, dt_s: float,
    bases: Array, table_m: float, distances: Array,
) -> Array:  # fmt: skip
    """The next command on the way to a target, braked where the poses through which it could stop do not keep their distances,
    nor are at least no worse than now.

    The joints do not stop all at once, so the real way bends off the straight line to their stop, the more the longer it is:
    the distances asked for grow with it (`_BEND_M_PER_RAD`).

    Args:
        table: (5, J) limits of the joints.
        before: (3, J) the last command.
        wanted: (J,) target.
        wanted_dq: (J,) its speed, per s.
        dt_s: One tick.
        bases: (2, 4, 4) where the arms stand.
        table_m: The table's top.
        distances: (4,) as in `Limits.distances`.

    Returns:
        (3, J): q, dq, ddq.
    """
    made = track_joints(table, before, wanted, wanted_dq, dt_s)
    if not made[1].any():
        return made[:3].copy()
    way = made[3]
    bend = bend_m(way)
    links_m = least_of_links_m(way, distances[2], distances[3])
    if keeps_clear(made[0], way, before[0], bases, table_m, distances[0] + bend, distances[1] + bend, links_m):
        return made[:3].copy()
    return brake_joints(table, before, dt_s)
