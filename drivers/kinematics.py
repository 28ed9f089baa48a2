"""Forward kinematics of the Agilex Piper, used by the safety layer and to build the simulated arm.

Source: the modified (Craig) DH table of the manufacturer's SDK with its joint-2/3 offsets (dh_is_offset=1).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class DhRow(NamedTuple):
    """One joint of the modified DH convention."""

    a_m: float
    alpha_rad: float
    theta0_rad: float
    d_m: float


DH_TABLE: tuple[DhRow, ...] = tuple(
    DhRow(a / 1000, float(np.deg2rad(alpha)), float(np.deg2rad(theta0)), d / 1000)
    for a, alpha, theta0, d in (
        (0.0, 0.0, 0.0, 123.0),
        (0.0, -90.0, -172.22, 0.0),
        (285.03, 0.0, -102.78, 0.0),
        (-21.98, 90.0, 0.0, 250.75),
        (0.0, -90.0, 0.0, 0.0),
        (0.0, 90.0, 0.0, 91.0),
    )
)
FINGER_CENTRE_M = 0.1358  # fingers' pads beyond the flange, along its z
FINGERTIP_M = FINGER_CENTRE_M + 0.03  # their far end


def link_transform(row: DhRow, q_rad: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """T_parent_link (..., 4, 4) of one joint at q (...): Rx(alpha), shift a along x, Rz(theta0 + q), shift d along z."""
    theta = row.theta0_rad + np.asarray(q_rad)
    ct, st = np.cos(theta), np.sin(theta)
    ca, sa = float(np.cos(row.alpha_rad)), float(np.sin(row.alpha_rad))
    transform = np.zeros((*theta.shape, 4, 4))
    transform[..., 0, 0], transform[..., 0, 1], transform[..., 0, 3] = ct, -st, row.a_m
    transform[..., 1, 0], transform[..., 1, 1] = st * ca, ct * ca
    transform[..., 1, 2], transform[..., 1, 3] = -sa, -sa * row.d_m
    transform[..., 2, 0], transform[..., 2, 1] = st * sa, ct * sa
    transform[..., 2, 2], transform[..., 2, 3] = ca, ca * row.d_m
    transform[..., 3, 3] = 1.0
    return transform


def link_poses(q_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """T_base_link for all six links: (..., 6, 4, 4) from q (..., 6) rad. The last one is the flange."""
    poses = np.empty((*q_rad.shape, 4, 4))
    pose = np.eye(4)
    for index, row in enumerate(DH_TABLE):
        pose = pose @ link_transform(row, q_rad[..., index])
        poses[..., index, :, :] = pose
    return poses


def base_pose(x_m: float, y_m: float, z_m: float, yaw_rad: float) -> NDArray[np.float64]:
    """T_world_base (4, 4) of an arm bolted upright."""
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[c, -s, 0, x_m], [s, c, 0, y_m], [0, 0, 1, z_m], [0, 0, 0, 1]], dtype=np.float64)
