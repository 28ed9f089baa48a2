"""When leader arms on buses of their own may lead the arms, through the safety layer (TAKEOVER). Deterministic.

A hand has no limits: the arms follow it as fast as theirs allow, and hold when it is lost or has run away from them.
"""

import numpy as np

from drivers.cobot_magic import WITHOUT_GRIPPERS, joint_name
from runtime.arms.limits import Array
from runtime.messaging import messages

STOCK_WIRING = (
    "these leaders share the followers' buses, where they would command them past the safety layer: end this run and lead "
    "them with ./launch/record.sh, or leave them unplugged"
)
_LEADER_NS = 100_000_000  # a leader that is silent for longer does not lead


def unled(
    jump_rad: float, leader: messages.LeaderState | None, commanded: Array, stands: bool, now_ns: int
) -> tuple[str, ...]:
    """What forbids the leaders to lead the arms on from their command (14,); empty: they may.

    `stands`: the arms have come to rest, or the leaders lead them already. `jump_rad`: how far a leader may be from its arm.
    """
    if not stands:
        return ("takeover: the arms are braked first",)
    if leader is None or silent(leader.measured_ns, now_ns):
        return ("takeover: no leader is heard; switch both on, on their own buses",)
    distance = np.abs(leader.q - commanded)[WITHOUT_GRIPPERS]
    worst = int(distance.argmax())
    if distance[worst] <= jump_rad:
        return ()
    name = joint_name(WITHOUT_GRIPPERS[worst])
    return (f"takeover: {name} is {distance[worst]:.2f} rad from its leader (limit {jump_rad}); lead the leader there",)


def silent(measured_ns: tuple[int, int], now_ns: int) -> bool:
    """Whether one of the leaders has not been heard lately."""
    return now_ns - min(measured_ns) > _LEADER_NS
