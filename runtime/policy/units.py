"""Between the robot's joints and the numbers of a policy: where targets count from, and how wide an open gripper is.
Called by System 1's step (runtime/systems/system1_step.py) around each chunk.

Legend: J joints in the robot's order, rad, grippers m; H targets in a chunk.
"""

import numpy as np
from numpy.typing import NDArray

from models.data.episode import GRIPPERS
from models.requirements import Requirements

Floats = NDArray[np.float64]


def state_to_policy(needs: Requirements, q: Floats) -> Floats:
    """Joints as the policy reads them.

    Args:
        needs: Its `gripper_open_m` is read: grippers become shares of it, 0 to 1; None leaves them in m.
        q: (J,) or (n, J) of the robot.

    Returns:
        The same shape, float64.
    """
    return q if needs.gripper_open_m is None else _scaled(q, 1 / needs.gripper_open_m)


def targets_to_policy(needs: Requirements, targets: Floats, q: Floats) -> Floats:
    """Targets of the robot as the policy would give them.

    Args:
        needs: `target_frame` and `gripper_open_m` are read.
        targets: (n, J) absolute.
        q: (J,) the joints that relative targets count from.

    Returns:
        (n, J) float64.
    """
    return state_to_policy(needs, targets - q if needs.target_frame == "relative" else targets)


def targets_of_policy(needs: Requirements, chunk: NDArray[np.float32], q: Floats) -> NDArray[np.float32]:
    """A policy's chunk as absolute targets of the robot; undoes `targets_to_policy`.

    Args:
        needs: `target_frame` and `gripper_open_m` are read.
        chunk: (H, J) as the policy gave it.
        q: (J,) the joints that it was given, in the robot's units.

    Returns:
        (H, J) float32, rad, grippers m; the chunk itself where nothing has to change.
    """
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
