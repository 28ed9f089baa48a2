"""Forward kinematics of the Agilex Piper, used by the safety layer, the experts and to build the simulated arm.

Source: the modified (Craig) DH table of the manufacturer's SDK (piper_sdk 0.6.2, C_PiperForwardKinematics) with its joint-2/3
offsets (dh_is_offset=1); test_kinematics.py compares them.
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
    for a, alpha, theta0, d in (  # mm and degrees, as the SDK has them
        (0.0, 0.0, 0.0, 123.0),
        (0.0, -90.0, -172.22, 0.0),
        (285.03, 0.0, -102.78, 0.0),
        (-21.98, 90.0, 0.0, 250.75),
        (0.0, -90.0, 0.0, 0.0),
        (0.0, 90.0, 0.0, 91.0),
    )
)
FINGER_CENTRE_M = 0.1358  # pads' middle beyond the flange, along its z: the finger joints in the manufacturer's URDF
FINGERTIP_M = FINGER_CENTRE_M + 0.03  # their far end: the simulated pads are 60 mm long


_A, _ALPHA, _THETA0, _D = np.array(DH_TABLE).T
_ZERO, _ONE = np.zeros(len(DH_TABLE)), np.ones(len(DH_TABLE))
# Rx(alpha) of every joint, columns 1 and 2 (x and y), (6, 4, 2): what turns with the joint is mixed from them.
_TILT = np.array([[_ONE, _ZERO], [_ZERO, np.cos(_ALPHA)], [_ZERO, np.sin(_ALPHA)], [_ZERO, _ZERO]]).transpose(2, 0, 1)
# What does not turn with a joint: its axis and its place, the last two columns of its transform, (6, 4, 2).
_FIXED = np.array([[_ZERO, _A], [-np.sin(_ALPHA), -np.sin(_ALPHA) * _D], [np.cos(_ALPHA), np.cos(_ALPHA) * _D],
                   [_ZERO, _ONE]]).transpose(2, 0, 1)  # fmt: skip


def link_transforms(q_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """T_parent_link = Rx(alpha) Tx(a) Rz(theta0 + q) Tz(d) of all joints.

    Args:
        q_rad: (..., 6) float64.

    Returns:
        (..., 6, 4, 4), lengths in m.
    """
    theta = (_THETA0 + q_rad)[..., None]
    cosine, sine = np.cos(theta), np.sin(theta)
    transform = np.empty((*q_rad.shape, 4, 4))
    transform[..., 0] = cosine * _TILT[..., 0] + sine * _TILT[..., 1]
    transform[..., 1] = cosine * _TILT[..., 1] - sine * _TILT[..., 0]
    transform[..., 2:] = _FIXED
    return transform


def link_poses(q_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """T_base_link of all links: the product of `link_transforms` up to each.

    Args:
        q_rad: (..., 6) float64.

    Returns:
        (..., 6, 4, 4), lengths in m; the last one is the flange.
    """
    poses = link_transforms(q_rad)
    for index in range(1, len(DH_TABLE)):
        poses[..., index, :, :] = poses[..., index - 1, :, :] @ poses[..., index, :, :]
    return poses


def base_pose(x_m: float, y_m: float, z_m: float, yaw_rad: float) -> NDArray[np.float64]:
    """T_world_base (4, 4) of an arm bolted upright: m, and yaw about the world's z in rad, from its x."""
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[c, -s, 0, x_m], [s, c, 0, y_m], [0, 0, 1, z_m], [0, 0, 0, 1]], dtype=np.float64)
