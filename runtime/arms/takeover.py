"""When leader arms on buses of their own may lead the arms, through the safety layer (TAKEOVER). Deterministic.
Called by step.py at every tick; what the leaders tell comes from leaders.py, the arms follow them in motion.py.

A hand has no limits: the arms follow it as fast as theirs allow, and hold when it is lost or has run away from them.
"""

import numpy as np

from drivers.cobot_magic import WITHOUT_GRIPPERS, joint_name
from runtime.arms.limits import Array
from runtime.messaging import messages

STOCK_WIRING = (
    "the leaders share the followers' CAN buses and would bypass the safety layer; "
    "unplug them, or end this run and use ./launch/record.sh"
)
_LEADER_NS = 100_000_000
"""A leader that is silent for longer does not lead. Chosen: twice the age at which an arm's own feedback makes it hold
(`safety.max_feedback_age_s`), since losing a leader puts only its last pose at stake, not where the arm is."""


def unled(
    jump_rad: float, leader: messages.LeaderState | None, commanded: Array, stands: bool, now_ns: int
) -> tuple[str, ...]:
    """What forbids the leaders to lead the arms on from their command.

    Args:
        jump_rad: How far a leader's joint may be from its arm's command. Grippers are not compared.
        leader: The leaders' newest state; None before they were heard.
        commanded: (14,) the arms' newest command, rad, grippers m.
        stands: The arms have come to rest, or the leaders lead them already.
        now_ns: CLOCK_MONOTONIC.

    Returns:
        One text with value, limit and remedy, the first that applies; empty: they may.
    """
    if not stands:
        return ("takeover: waiting until the arms have stopped",)
    if leader is None or silent(leader.measured_ns, now_ns):
        return ("takeover: no leader feedback; switch on both leaders, on their own CAN buses",)
    distance = np.abs(leader.q - commanded)[WITHOUT_GRIPPERS]
    worst = int(distance.argmax())
    if distance[worst] <= jump_rad:
        return ()
    side, joint = joint_name(WITHOUT_GRIPPERS[worst]).split()
    apart = f"{distance[worst]:.2f} rad from the arm (limit {jump_rad} rad)"
    return (f"takeover: the {side} leader's {joint} is {apart}; move the leader to the arm's pose",)


def silent(measured_ns: tuple[int, int], now_ns: int) -> bool:
    """Whether one of the leaders, measured at these times (left, right), has not been heard for 100 ms."""
    return now_ns - min(measured_ns) > _LEADER_NS
