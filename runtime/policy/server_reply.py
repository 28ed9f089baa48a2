"""The chunk in a policy server's reply, believed only when all of it can be: nothing moves on a wrong one.
Called by remote_policy.py.

Legend: J joints in the robot's order, H targets in a chunk.
"""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import WITHOUT_GRIPPERS, joint_name
from models.data.episode import GRIPPERS
from models.requirements import Requirements
from runtime.config.settings import Settings
from runtime.messaging.messages import JOINTS, MOST_TARGETS
from runtime.policy import units
from runtime.policy.protocols import Refused


class WrongReply(Refused):
    """A reply that is not what it must be; the same question would get such a one again."""


def read(reply: Any, wire: Requirements, q: NDArray[np.float64], settings: Settings) -> NDArray[np.float32]:
    """A reply's chunk in the robot's units.

    Args:
        reply: As it was unpacked.
        wire: The units that the server counts in.
        q: (J,) that it was sent, rad, grippers m.
        settings: Of the robot: its ranges, and how far outside a target may be.

    Returns:
        (H, J) float32, absolute, rad, grippers m; H as the server chose.

    Raises:
        WrongReply: One line: what it must be, and what it is.
    """
    actions: Any = cast(dict[Any, Any], reply).get("actions") if isinstance(reply, dict) else None
    if not isinstance(actions, np.ndarray):
        raise WrongReply(f"wrong reply: `actions` must be an array, got {type(actions).__name__}")
    given = cast(NDArray[Any], actions)
    if given.dtype.kind not in "fiu" or given.ndim != 2 or given.shape[1] != JOINTS:
        raise WrongReply(f"wrong reply: `actions` must be numbers (targets, {JOINTS}), got {given.dtype} {given.shape}")
    if not 1 <= len(given) <= MOST_TARGETS:
        raise WrongReply(f"wrong reply: `actions` must be 1 to {MOST_TARGETS} targets, got {len(given)}")
    announced = settings.policy.wire.targets
    if announced is not None and len(given) != announced:
        raise WrongReply(
            f"wrong reply: `actions` must be {announced} targets, as --policy.wire.targets or the server said, got {len(given)}"
        )
    if not np.isfinite(given).all():
        raise WrongReply("wrong reply: `actions` must be finite numbers, got NaN or infinity")
    with np.errstate(over="ignore"):  # an infinity is outside every range
        chunk = units.targets_of_policy(wire, given.astype(np.float32), q)
    _check_ranges(chunk, settings)
    return chunk


def _check_ranges(chunk: NDArray[np.float32], settings: Settings) -> None:
    """Refuse what is so far outside a range that it must be of another unit, sign or order.

    Arms by the limit at which the safety layer would latch a fault; grippers by a whole stroke, which shares read as m exceed.
    """
    safety = settings.safety
    low, high = np.array(safety.low * 2), np.array(safety.high * 2)
    limit = np.full(JOINTS, safety.outside_rad)
    limit[list(GRIPPERS)] = (high - low)[list(GRIPPERS)]
    outside = np.maximum(low - chunk.min(0), chunk.max(0) - high)
    worst = int((outside - limit).argmax())
    if outside[worst] > limit[worst]:
        unit = "rad" if worst in WITHOUT_GRIPPERS else "m"
        raise WrongReply(
            f"wrong reply: {joint_name(worst)} is {outside[worst]:.2f} {unit} outside its range (limit {limit[worst]:.2g} "
            f"{unit}); check --policy.wire.frame, --policy.wire.grippers and the server's normalisation"
        )
