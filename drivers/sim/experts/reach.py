"""Where a hand is to be, and the joints that bring it there. Used by the experts and their scripts.

A hand is described in cylindrical coordinates about its arm's base axis: moving radially keeps the arm in one plane, where the
Piper reaches best, and an arc about the base never meets the other arm.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import HIGH, LOW, bases
from drivers.kinematics import FINGER_CENTRE_M, link_poses

Array = NDArray[np.float64]
GRASP_M = FINGER_CENTRE_M + 0.01  # where things are held, beyond the flange: 1 cm from the pads' middle to their tips
_DAMPING = 1e-4  # chosen: steps stay finite where the arm is stretched, and exact to _DONE elsewhere
_ITERATIONS = 40  # measured over 24 plans: 2 at the median, 22 at most, and all of them only where out of reach
_LARGEST_STEP_RAD = 0.3  # of a joint in one iteration; chosen: so far the Jacobian tells the way
_DONE = 1e-5  # m and rad; chosen: a hundredth of what a script lets pass (2e-3)
_MARGIN_RAD = 0.02  # kept from the ends of the joints' ranges; twice what the safety layer keeps
_LOW, _HIGH = np.array(LOW[:6]) + _MARGIN_RAD, np.array(HIGH[:6]) - _MARGIN_RAD
_INTO_BASE = np.linalg.inv(bases())


@dataclass(frozen=True)
class Hand:
    """Grasp point and direction of a hand, about its arm's base (z from the table up)."""

    r_m: float
    azimuth_rad: float
    z_m: float
    pitch_rad: float  # of the fingers, downwards
    heading_rad: float = 0.0  # of the fingers, out of the radial direction
    roll_rad: float = 0.0  # about the fingers' direction; at 0 they close sideways

    def at(self, **changes: float) -> "Hand":
        """The same hand with the named coordinates changed; m and rad."""
        return replace(self, **changes)

    def mixed(self, other: "Hand", share: float) -> "Hand":
        """The hand a share (0 to 1) of the way to another one, every coordinate evenly."""
        mine, theirs = np.array(self.numbers()), np.array(other.numbers())
        return Hand(*(mine + share * (theirs - mine)).tolist())

    def numbers(self) -> tuple[float, ...]:
        """r, azimuth, z, pitch, heading and roll, in the order of the fields."""
        return self.r_m, self.azimuth_rad, self.z_m, self.pitch_rad, self.heading_rad, self.roll_rad

    def back(self, distance_m: float) -> "Hand":
        """The same hand drawn back along its fingers, whose direction in space it keeps."""
        along, place = self.pose()[:3, 2], self.pose()[:3, 3]
        x, y, z = place - distance_m * along
        azimuth_rad = float(np.arctan2(y, x))
        heading_rad = self.azimuth_rad + self.heading_rad - azimuth_rad
        return self.at(r_m=float(np.hypot(x, y)), azimuth_rad=azimuth_rad, z_m=float(z), heading_rad=heading_rad)

    def pose(self) -> Array:
        """T_base_grasp (4, 4): z along the fingers, y the way they close."""
        yaw = self.azimuth_rad + self.heading_rad
        cp, sp, cy, sy = np.cos(self.pitch_rad), np.sin(self.pitch_rad), np.cos(yaw), np.sin(yaw)
        along, down = np.array([cp * cy, cp * sy, -sp]), np.array([-sp * cy, -sp * sy, -cp])
        across = np.array([-sy, cy, 0.0])  # their cross product
        cr, sr = np.cos(self.roll_rad), np.sin(self.roll_rad)
        pose = np.eye(4)
        pose[:3, 0], pose[:3, 1], pose[:3, 2] = cr * down + sr * across, cr * across - sr * down, along
        pose[:3, 3] = self.r_m * np.cos(self.azimuth_rad), self.r_m * np.sin(self.azimuth_rad), self.z_m
        return pose


def over(side: int, place_m: Array, pitch_rad: float, heading_rad: float = 0.0, roll_rad: float = 0.0) -> Hand:
    """The hand of an arm (0 left, 1 right) with its grasp point at a place (3,) in the world."""
    x, y, z, _ = _INTO_BASE[side] @ np.append(place_m, 1.0)
    return Hand(float(np.hypot(x, y)), float(np.arctan2(y, x)), float(z), pitch_rad, heading_rad, roll_rad)


def above(place_m: Array, height_m: float) -> Array:
    """The place (3,) in the world that lies so much higher, m."""
    return place_m + np.array([0.0, 0.0, height_m])


def hand_of(q_rad: Array) -> Hand:
    """The hand of joints (6,) rad whose fingers lie in the radial plane (J4 = J6 = 0): without heading and roll."""
    pose = _grasp(link_poses(q_rad))
    x, y, z = pose[:3, 3]
    along = pose[:3, 2]
    return Hand(float(np.hypot(x, y)), float(np.arctan2(y, x)), float(z), float(-np.arcsin(along[2])))


def joints_for(hand: Hand, start_rad: Array) -> tuple[Array, float]:
    """Inverse kinematics by damped least squares.

    Args:
        hand: where the hand is to be.
        start_rad: (6,) joints to begin with; a solution near them is looked for.

    Returns:
        Joints (6,) rad within their ranges, and how far off the hand stays with them: the norm of m and rad together.
    """
    wanted, q = hand.pose(), start_rad.copy()
    error = _error(wanted, _grasp(poses := link_poses(q)))
    for _ in range(_ITERATIONS):
        if np.linalg.norm(error) < _DONE:
            break
        jacobian = _jacobian(poses)
        step = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + _DAMPING * np.eye(6), error)
        q = np.clip(q + np.clip(step, -_LARGEST_STEP_RAD, _LARGEST_STEP_RAD), _LOW, _HIGH)
        error = _error(wanted, _grasp(poses := link_poses(q)))
    return q, float(np.linalg.norm(error))


def _grasp(poses: Array) -> Array:
    pose = poses[5].copy()
    pose[:3, 3] += GRASP_M * pose[:3, 2]
    return pose


def _jacobian(poses: Array) -> Array:
    axes, origins = poses[:, :3, 2], poses[:, :3, 3]
    arms = _grasp(poses)[:3, 3] - origins
    return np.vstack([_cross(axes.T, arms.T), axes.T])


def _cross(a: Array, b: Array) -> Array:
    """Cross products of columns (3, n), or of two (3,): np.cross takes ten times as long for so few."""
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def _error(wanted: Array, now: Array) -> Array:
    turn = wanted[:3, :3] @ now[:3, :3].T
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / 2
    sine, cosine = np.linalg.norm(axis), (np.trace(turn) - 1) / 2
    angle = np.arctan2(sine, cosine)
    rotation = axis * (angle / sine) if sine > 1e-9 else axis
    return np.concatenate([wanted[:3, 3] - now[:3, 3], rotation])
