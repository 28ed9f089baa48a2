"""Between the robot's joints and the numbers of a policy: where targets count from, and how wide an open gripper is."""

import numpy as np
from numpy.typing import NDArray

from models.data.episode import GRIPPERS
from models.requirements import Requirements

Floats = NDArray[np.floating]


def state_to_policy(needs: Requirements, q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Joints (J,) rad, grippers m, as the policy reads them."""
    return _scaled(needs, q, False)


def targets_to_policy(needs: Requirements, targets: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Targets (n, J) of the robot, whose joints are q (J,), as the policy would give them."""
    if needs.target_frame == "relative":
        targets = targets - q
    return _scaled(needs, targets, False)


def targets_of_policy(needs: Requirements, chunk: NDArray[np.float32], q: NDArray[np.float64]) -> NDArray[np.float32]:
    """A policy's chunk (H, J) as targets of the robot, rad, grippers m."""
    targets = _scaled(needs, chunk, True)
    if needs.target_frame == "relative":
        targets = targets + q
    return targets.astype(np.float32, copy=False)


def _scaled(needs: Requirements, q: NDArray, to_robot: bool) -> NDArray:  # pyright: ignore[reportMissingTypeArgument]
    if needs.gripper_open_m is None:
        return q
    scaled = q.astype(np.float64)
    scaled[..., list(GRIPPERS)] *= needs.gripper_open_m if to_robot else 1 / needs.gripper_open_m
    return scaled
