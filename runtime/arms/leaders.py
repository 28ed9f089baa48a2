"""What the leaders tell: over the followers' buses, or over buses of their own; both leaders in one message.
Called by process.py at every tick. When they may lead the arms is in takeover.py, how the arms follow them in motion.py.
"""

from collections.abc import Sequence

import numpy as np

from drivers.arm import ArmState
from drivers.arm_link import LED, Array, TargetSlot
from drivers.cobot_magic import SIDES
from runtime.arms.limit_monitor import LimitMonitor, exceeded
from runtime.arms.limits import Limits
from runtime.arms.takeover import silent
from runtime.messaging import messages
from runtime.process.base import Process


def leader_slots(process: Process) -> list[TargetSlot] | None:
    """The slots in which leaders on buses of their own tell where they are led; None where there are none."""
    own = process.settings.arms.leaders == "own"
    return [TargetSlot(process.folder, LED, side) for side in SIDES] if own else None


def overheard(readings: Sequence[ArmState]) -> list[tuple[Array, int]]:
    """What the leaders tell the arms over their common buses: q (7,) and stamp in ns of each that is heard."""
    return [(reading.leader, reading.leader_ns) for reading in readings if reading.leader is not None]


def heard(leaders: Sequence[TargetSlot]) -> list[tuple[Array, int]]:
    """What the leaders say on buses of their own: q (7,) and stamp in ns of each that was heard."""
    newest = [leader.read() for leader in leaders]
    return [(led.q, led.stamp_ns) for led in newest if led.stamp_ns]


def leader_state(
    said: Sequence[tuple[Array, int]], monitor: LimitMonitor, limits: Limits, seq: int, epoch: int, now_ns: int
) -> messages.LeaderState | None:
    """Where both leaders are led, and which limits that exceeds.

    Args:
        said: Of each leader that was heard, left then right: q (7,) rad, gripper m, and its stamp in ns.
        monitor: Remembers the last targets.
        limits: Of the arms.
        seq: Of the message.
        epoch: Of this process.
        now_ns: CLOCK_MONOTONIC.

    Returns:
        The message; None while one of them is not heard, or is silent.
    """
    if len(said) < len(SIDES):
        return None
    q, stamps_ns = np.concatenate([led for led, _ in said]), (said[0][1], said[1][1])
    if silent(stamps_ns, now_ns):
        return None
    exceeds = exceeded(monitor, limits, q, max(stamps_ns))
    return messages.LeaderState(seq=seq, epoch=epoch, stamp_ns=now_ns, q=q, measured_ns=stamps_ns, exceeds=exceeds)
