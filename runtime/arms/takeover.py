"""When master arms on buses of their own may lead the arms, through the safety layer (TAKEOVER). Pure.

A hand has no limits: the arms follow it as fast as theirs allow, and hold when it is lost or has run away from them.
"""

import numpy as np

from drivers.cobot_magic import WITHOUT_GRIPPERS
from runtime.arms.limits import Array
from runtime.arms.safety import joint_name
from runtime.messaging import messages

STOCK_WIRING = (
    "held; these masters share the puppets' buses, where they would command them past the safety layer: end this run and lead "
    "them with ./launch/record.sh, or leave them unplugged and order run"
)
_MASTER_NS = 100_000_000  # a master that is silent for longer does not lead


def unled(
    jump_rad: float, master: messages.MasterState | None, commanded: Array, stands: bool, now: int
) -> tuple[str, ...]:
    """What forbids the masters to lead the arms on from their command (14,); empty: they may.

    `stands`: the arms have come to rest, or the masters lead them already. `jump_rad`: how far a master may be from its arm.
    """
    if not stands:
        return ("takeover: the arms are braked first",)
    if master is None or silent(master.measured_ns, now):
        return ("takeover: no master is heard; switch both on, on their own buses",)
    distance = np.abs(master.q - commanded)[WITHOUT_GRIPPERS]
    worst = int(distance.argmax())
    if distance[worst] <= jump_rad:
        return ()
    name = joint_name(WITHOUT_GRIPPERS[worst])
    return (f"takeover: {name} is {distance[worst]:.2f} rad from its master (limit {jump_rad}); lead the master there",)


def silent(measured_ns: tuple[int, int], now: int) -> bool:
    """Whether one of the masters has not been heard lately."""
    return now - min(measured_ns) > _MASTER_NS
