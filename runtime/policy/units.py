"""Between the robot's joints and the numbers of a policy: where targets count from, and how wide an open gripper is.

Legend: J joints in the robot's order, rad, grippers m; H targets in a chunk.
"""

import numpy as np
from numpy.typing import NDArray

from models.data.episode import GRIPPERS
from models.requirements import Requirements

Floats = NDArray[np.float64]


def state_to_policy(needs: Requirements, q: Floats) -> Floats:
    """Joints (J,) as the policy reads them."""
    return q if needs.gripper_open_m is None else _scaled(q, 1 / needs.gripper_open_m)


def targets_to_policy(needs: Requirements, targets: Floats, q: Floats) -> Floats:
    """Targets (n, J) of the robot, whose joints are q (J,), as the policy would give them."""
    return state_to_policy(needs, targets - q if needs.target_frame == "relative" else targets)


def targets_of_policy(needs: Requirements, chunk: NDArray[np.float32], q: Floats) -> NDArray[np.float32]:
    """A policy's chunk (H, J) as targets of the robot, whose joints were q (J,)."""
    if needs.gripper_open_m is None and needs.target_frame == "absolute":
        return chunk
    targets = chunk.astype(np.float64)
    if needs.gripper_open_m is not None:
        targets = _scaled(targets, needs.gripper_open_m)
    return (targets + q if needs.target_frame == "relative" else targets).astype(np.float32)


def _scaled(q: Floats, factor: float) -> Floats:
    scaled = q.copy()
    scaled[..., list(GRIPPERS)] *= factor
    return scaled
