"""When leader arms on buses of their own may lead the arms, through the safety layer (TAKEOVER). Deterministic.

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
_LEADER_NS = 100_000_000  # a leader that is silent for longer does not lead


def unled(
    jump_rad: float, leader: messages.LeaderState | None, commanded: Array, stands: bool, now_ns: int
) -> tuple[str, ...]:
    """What forbids the leaders to lead the arms on from their command (14,); empty: they may.

    `stands`: the arms have come to rest, or the leaders lead them already. `jump_rad`: how far a leader may be from its arm.
    """
    if not stands:
        return ("takeover: waiting until the arms have stopped",)
    if leader is None or silent(leader.measured_ns, now_ns):
        return ("takeover: no leader feedback; switch on both leaders, on their own CAN buses",)
    distance = np.abs(leader.q - commanded)[WITHOUT_GRIPPERS]
    worst = int(distance.argmax())
    if distance[worst] <= jump_rad:
        return ()
    name = joint_name(WITHOUT_GRIPPERS[worst])
    return (
        f"takeover: {name} is {distance[worst]:.2f} rad from its leader (limit {jump_rad} rad); move the leader there",
    )


def silent(measured_ns: tuple[int, int], now_ns: int) -> bool:
    """Whether one of the leaders has not been heard lately."""
    return now_ns - min(measured_ns) > _LEADER_NS
