"""What the safety layer can do where it does not command: tell which limits a teacher's hands exceed. Deterministic."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from drivers.cobot_magic import WITHOUT_GRIPPERS, joint_name
from runtime.arms.limits import Array, Limits
from runtime.host.clock import NS_PER_S

_WINDOW_NS = 50_000_000  # over which a speed is measured: single targets jitter


@dataclass
class LimitMonitor:
    """Remembers the newest targets (J,) with their times."""

    seen: deque[tuple[int, Array]] = field(default_factory=deque)


def exceeded(monitor: LimitMonitor, limits: Limits, q: Array, stamp_ns: int) -> tuple[str, ...]:
    """The limits on range and speed that targets q (J,) exceed, each with joint, value and limit."""
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
