"""Which limits a teacher's hands exceed, where the safety layer does not command and can only tell. Deterministic.
Called by process.py at every tick in which leaders are heard.
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from drivers.cobot_magic import WITHOUT_GRIPPERS, joint_name
from runtime.arms.limits import Array, Limits
from runtime.host.clock import NS_PER_S

_WINDOW_NS = 50_000_000
"""A speed is measured over this time. Chosen: ten targets at 200 Hz; over one tick of 5 ms a jitter of 0.001 degrees, the
bus's step, would already look like 0.003 rad/s, and a target that comes 1 ms late like a fifth more speed."""


@dataclass
class LimitMonitor:
    """The targets (J,) of the last 50 ms with their times: a speed is measured over them."""

    seen: deque[tuple[int, Array]] = field(default_factory=deque)


def exceeded(monitor: LimitMonitor, limits: Limits, q: Array, stamp_ns: int) -> tuple[str, ...]:
    """Compare targets with ranges and speeds, and remember them for the next call. Does not stop anything.

    Args:
        monitor: Changed: targets that are too old are dropped, these are added.
        limits: Of both arms.
        q: (J,) where the leaders are led, rad, grippers m.
        stamp_ns: When they were read.

    Returns:
        A text for each exceeded limit: joint, value, limit. Empty while all are kept.
    """
    while monitor.seen and stamp_ns - monitor.seen[0][0] > _WINDOW_NS:
        monitor.seen.popleft()
    texts = _outside(limits, q)
    if monitor.seen and stamp_ns > monitor.seen[0][0]:
        since_ns, before = monitor.seen[0]
        texts += _too_fast(limits, np.abs(q - before) * NS_PER_S / (stamp_ns - since_ns))
    monitor.seen.append((stamp_ns, np.array(q)))
    return texts


def _outside(limits: Limits, q: Array) -> tuple[str, ...]:
    return tuple(
        f"{joint_name(joint)} is at {q[joint]:.2f} {unit} (range {limits.low[joint]:.2f} to {limits.high[joint]:.2f} {unit})"
        for joint in np.flatnonzero((q < limits.low) | (q > limits.high)).tolist()
        for unit in (_unit(joint),)
    )


def _too_fast(limits: Limits, speed: Array) -> tuple[str, ...]:
    return tuple(
        f"{joint_name(joint)} moves at {speed[joint]:.2f} {unit}/s (limit {limits.velocity[joint]:.2f} {unit}/s)"
        for joint in np.flatnonzero(speed > limits.velocity).tolist()
        for unit in (_unit(joint),)
    )


def _unit(joint: int) -> str:
    return "rad" if joint in WITHOUT_GRIPPERS else "m"
