"""The bodies of an arm's links as capsules that cover them: how low they come, and how near each other. Deterministic.
Used by limits.py and clearance.py (its compiled twin), and by the benchmarks of hostile chunks and of shapes.

Legend: C capsules of an arm, in the order of CAPSULES; m in the world.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import TABLE_TOP_M, bases
from drivers.kinematics import link_poses
from runtime.arms.collision import segment_distance

Array = NDArray[np.float64]
Point = tuple[float, float, float]


class Capsule(NamedTuple):
    """A part of a link: its axis from `begin_m` to `end_m` in the frame of that link (0 the base, 1 to 6 by its joint)."""

    name: str
    link: int
    begin_m: Point
    end_m: Point
    radius_m: float
    opens: float = 0.0
    """Share of the gripper's opening by which it lies farther along the flange's y."""


# Fitted, to the millimetre, so that they cover two sets of shapes: the manufacturer's meshes of the Piper (piper_description of
# September 2024), and the bodies of drivers/sim/scene.py. By how much they cover more: runtime/bench/README.md.
CAPSULES = (
    Capsule("base", 0, (-0.008, 0.0, 0.006), (-0.002, 0.0, 0.057), 0.061),
    Capsule("column", 1, (0.0, 0.0, -0.060), (0.0, 0.0, -0.022), 0.0475),
    Capsule(
        "shoulder", 2, (0.001, 0.0, -0.024), (0.001, 0.0, 0.024), 0.0411
    ),  # with the bracket of link 1 about its axis
    Capsule("shoulder's end", 2, (0.042, -0.010, -0.012), (0.042, -0.010, 0.012), 0.0405),
    Capsule("upper arm", 2, (0.075, -0.017, 0.0), (0.200, -0.040, 0.0), 0.0315),
    Capsule("elbow", 2, (0.245, -0.034, 0.0), (0.286, 0.0, 0.0), 0.055),
    Capsule("elbow's end", 3, (0.0, 0.0, 0.0), (-0.012, -0.030, 0.0), 0.0475),
    Capsule("forearm", 3, (-0.022, -0.065, 0.0), (-0.022, -0.250, 0.0), 0.032),
    Capsule("wrist", 4, (0.0, 0.006, 0.0115), (0.0, 0.004, -0.012), 0.0415),
    Capsule("wrist's end", 5, (0.0, 0.0, -0.007), (0.0, -0.084, 0.003), 0.037),
    Capsule("palm", 6, (-0.004, -0.045, 0.055), (-0.004, 0.045, 0.055), 0.047),
    Capsule("finger a", 6, (0.0, 0.009, 0.095), (0.0, 0.006, 0.150), 0.0225, 0.5),
    Capsule("finger b", 6, (0.0, -0.009, 0.095), (0.0, -0.006, 0.150), 0.0225, -0.5),
)
_NEIGHBOURS = 2
"""Links that so many joints connect, or fewer, are neighbours: they meet at a joint or where two axes cross (shoulder, wrist),
or the range of the joint between them keeps them apart. Measured with the manufacturer's meshes over 25,000 poses: neighbours
that meet nowhere never touched unless others did."""
PAIRS = np.array(
    [
        (a, b)
        for a, first in enumerate(CAPSULES)
        for b, second in enumerate(CAPSULES)
        if second.link - first.link > _NEIGHBOURS
    ]
)
"""(pairs, 2) capsules of one arm that must keep apart: all but a link's own and its neighbours'."""
LINKS = np.array([one.link for one in CAPSULES])
ENDS_M = np.array([(one.begin_m, one.end_m) for one in CAPSULES])  # (C, 2, 3) in the frames of the links
RADII_M = np.array([one.radius_m for one in CAPSULES])
OPENS = np.array([one.opens for one in CAPSULES])
_TURNS_ONLY = ("base", "column", "shoulder")
LIFTED = np.flatnonzero([one.name not in _TURNS_ONLY and not one.opens for one in CAPSULES])
"""Capsules that must stay over the table: all whose height changes, but the fingers, which may touch it with their tips."""
_SIMULATED = bases()


def capsule_ends(q: Array, bases: Array = _SIMULATED) -> Array:
    """Where the axes of all capsules begin and end, by forward kinematics.

    Args:
        q: (..., 14) rad, gripper openings m.
        bases: (2, 4, 4) T_world_base; those of the simulated robot where none are given.

    Returns:
        (..., 2, C, 2, 3) m in the world, left arm first.
    """
    arms = q.reshape(*q.shape[:-1], 2, 7)
    feet = np.broadcast_to(bases[:, None], (*arms.shape[:-1], 1, 4, 4))
    poses = np.concatenate([feet, bases[:, None] @ link_poses(arms[..., :6])], axis=-3)[..., LINKS, :, :]
    ends = np.broadcast_to(ENDS_M, (*arms.shape[:-1], *ENDS_M.shape)).copy()
    ends[..., 1] += (arms[..., 6:] * OPENS)[..., None]
    return ends @ poses[..., :3, :3].swapaxes(-1, -2) + poses[..., None, :3, 3]


def link_height_m(ends: Array, table_m: float = TABLE_TOP_M) -> float:
    """Height over the table of the lowest link, fingers left out.

    Args:
        ends: (..., C, 2, 3) as `capsule_ends` gives them.
        table_m: The table's top in the world.

    Returns:
        m; the smallest over all given arms and poses, negative below the table.
    """
    return float((ends[..., LIFTED, :, :][..., 2].min(-1) - RADII_M[LIFTED]).min()) - table_m


def own_distance_m(ends: Array) -> float:
    """The smallest distance between links of the same arm that are no neighbours.

    Args:
        ends: (..., C, 2, 3) as `capsule_ends` gives them.

    Returns:
        m; the smallest over all given arms and poses, negative where links overlap.
    """
    first, second = (ends[..., PAIRS[:, side], :, :].reshape(-1, 2, 3) for side in (0, 1))
    gaps = segment_distance(first[:, 0], first[:, 1], second[:, 0], second[:, 1]).reshape(-1, len(PAIRS))
    return float((gaps - RADII_M[PAIRS].sum(1)).min())
