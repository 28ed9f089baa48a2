"""Both arms' links as capsules in the world, and how near they come to each other and the table. Deterministic.
Used by limits.py and clearance.py (its compiled twin), the console and the benchmark of hostile chunks.

Legend: P points of an arm: base, shoulder, elbow, wrist, flange, the palm's end, root and tip of finger a, the same of b.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import TABLE_TOP_M, bases
from drivers.kinematics import FINGERTIP_M, base_pose, link_poses
from runtime.config.safety_settings import Mount

Array = NDArray[np.float64]
BEGINS = np.array([0, 1, 2, 3, 4, 6, 8])  # points where the links begin: four of the arm, the palm, two fingers
ENDS = np.array([1, 2, 3, 4, 5, 7, 9])  # points where the same links end
RADIUS_M = np.array([0.05, 0.045, 0.04, 0.05, 0.055, 0.012, 0.012])
"""Of the links, in the order of BEGINS. Chosen around the bodies that drivers/sim/scene.py builds: 5 to 24 mm more than its
capsules (0.045 base, 0.034 upper arm, 0.032 forearm, 0.031 and 0.026 wrist); the palm's is 3 mm more than the half width of its
box, a finger's the half width of its pad."""
TIPS = (7, 9)  # points of the fingertips
PALM_M, FINGER_ROOT_M = 0.045, 0.06
"""Beyond the flange: where the palm's capsule ends and the fingers' begin. Chosen by the simulated palm, a box from 25 to 85
mm: with its radius the capsule covers 100 mm, and the fingers' pads begin at 106 mm."""
BESIDE_M = 0.004  # a finger's middle from its inner face: half the pad's thickness in drivers/sim/scene.py
FRAMES = [0, 2, 3, 5]  # links whose frames are shoulder, elbow, wrist and flange
_LEFT, _RIGHT = (index.ravel() for index in np.indices((len(RADIUS_M), len(RADIUS_M))))
_SIMULATED = bases()


def bases_of(mount: Mount) -> Array:
    """T_world_base (2, 4, 4) of the left and the right arm, from the settings of their feet (m, yaw rad)."""
    return _placed(mount.left, mount.right)


@lru_cache(maxsize=8)
def _placed(*places: tuple[float, float, float, float]) -> Array:
    return np.stack([base_pose(*place) for place in places])


def link_points(q: Array, bases: Array = _SIMULATED) -> Array:
    """Where the ends of all links are, by forward kinematics.

    Args:
        q: (..., 14) rad, gripper openings m.
        bases: (2, 4, 4) T_world_base; those of the simulated robot where none are given.

    Returns:
        (..., 2, P, 3) m in the world, left arm first.
    """
    arms = q.reshape(*q.shape[:-1], 2, 7)
    poses = bases[:, None] @ link_poses(arms[..., :6])
    flange, across, along = poses[..., 5, :3, 3], poses[..., 5, :3, 1], poses[..., 5, :3, 2]
    beside = (arms[..., 6:] / 2 + BESIDE_M) * across
    points = np.empty((*q.shape[:-1], 2, 10, 3))
    points[..., 0, :] = bases[:, :3, 3]
    points[..., 1:5, :] = poses[..., :3, 3][..., FRAMES, :]
    points[..., 5, :] = flange + PALM_M * along
    for place, offset in ((6, beside), (8, -beside)):
        points[..., place, :] = flange + FINGER_ROOT_M * along + offset
        points[..., place + 1, :] = flange + FINGERTIP_M * along + offset
    return points


def fingertip_height_m(points: Array, table_m: float = TABLE_TOP_M) -> float:
    """Height over the table of the lowest fingertip.

    Args:
        points: (..., 2, P, 3) as `link_points` gives them.
        table_m: The table's top in the world.

    Returns:
        m; the smallest over all given poses, negative below the table.
    """
    return float(points[..., list(TIPS), 2].min()) - table_m


def arm_distance_m(points: Array) -> float:
    """The smallest distance between the surfaces of the two arms' links, as capsules.

    Args:
        points: (..., 2, P, 3) as `link_points` gives them.

    Returns:
        m; the smallest over all given poses, negative where links overlap.
    """
    ends = [points[..., arm, ends[links], :].reshape(-1, 3)
            for arm, links in ((0, _LEFT), (1, _RIGHT)) for ends in (BEGINS, ENDS)]  # fmt: skip
    gaps = segment_distance(*ends).reshape(-1, len(_LEFT))
    return float((gaps - RADIUS_M[_LEFT] - RADIUS_M[_RIGHT]).min())


def sideways_gap_m(points: Array) -> float:
    """A lower bound of `arm_distance_m` at a tenth of its cost: the arms' gap along the line between their bases.

    Args:
        points: (..., 2, P, 3) as `link_points` gives them.

    Returns:
        m; the smallest over all given poses.
    """
    feet = points.reshape(-1, *points.shape[-3:])[0, :, 0]
    between = feet[0] - feet[1]
    along = points @ (between / np.linalg.norm(between))
    return float(along[..., 0, :].min() - along[..., 1, :].max()) - 2 * float(RADIUS_M.max())


def segment_distance(p0: Array, p1: Array, q0: Array, q1: Array) -> Array:
    """Smallest distances (N,), m, between N pairs of segments whose ends are (N, 3) each."""
    u, v, w = p1 - p0, q1 - q0, p0 - q0
    a, b, c = (u * u).sum(1), (u * v).sum(1), (v * v).sum(1)
    d, e = (u * w).sum(1), (v * w).sum(1)
    determinant = a * c - b * b
    s = np.clip(np.where(determinant > 1e-9, (b * e - c * d) / np.maximum(determinant, 1e-9), 0.0), 0, 1)
    t = np.clip((b * s + e) / np.maximum(c, 1e-12), 0, 1)
    s = np.clip((b * t - d) / np.maximum(a, 1e-12), 0, 1)
    return np.linalg.norm(w + s[:, None] * u - t[:, None] * v, axis=1)
