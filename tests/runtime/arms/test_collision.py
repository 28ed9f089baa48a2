"""The arms' capsules: they follow the kinematics, their distance is that of densely sampled links, the quick bound is one.
Called by pytest."""

import numpy as np
import pytest

from drivers.cobot_magic import TABLE_TOP_M, bases, ready_pose
from drivers.kinematics import FINGERTIP_M, link_poses
from runtime.arms import collision as module
from runtime.arms.collision import arm_distance_m, fingertip_height_m, link_points, sideways_gap_m
from runtime.arms.limits import Array, Limits
from runtime.config.safety_settings import Safety

LIMITS = Limits.of(Safety())


def any_poses(count: int) -> list[Array]:
    """Poses from a fixed seed, anywhere in the ranges."""
    dice = np.random.default_rng(3)
    return [LIMITS.low + dice.uniform(0, 1, 14) * (LIMITS.high - LIMITS.low) for _ in range(count)]


@pytest.mark.parametrize("q", any_poses(10))
def test_the_skeleton_is_the_kinematics(q: Array) -> None:
    points = link_points(q)
    for side, base in enumerate(bases()):
        poses = base @ link_poses(q[7 * side : 7 * side + 6])
        frames = [base[:3, 3], *(poses[index][:3, 3] for index in (0, 2, 3, 5))]
        np.testing.assert_allclose(points[side, :5], frames, atol=1e-12)
        for place, sign in ((7, 1), (9, -1)):
            beside = sign * (q[7 * side + 6] / 2 + 0.004)
            for point, along in ((place - 1, 0.06), (place, FINGERTIP_M)):
                on_finger = poses[5] @ np.array([0.0, beside, along, 1.0])
                np.testing.assert_allclose(points[side, point], on_finger[:3], atol=1e-12)
        palm = poses[5] @ np.array([0.0, 0.0, 0.045, 1.0])
        np.testing.assert_allclose(points[side, 5], palm[:3], atol=1e-12)


def test_the_skeleton_is_mirrored_by_mirrored_arms() -> None:
    left, right = link_points(ready_pose())
    swapped = right[[0, 1, 2, 3, 4, 5, 8, 9, 6, 7]]  # finger a of one is where finger b of the other is
    np.testing.assert_allclose(left * [-1, 1, 1], swapped, atol=1e-9)


def test_the_fingertip_height_counts_from_the_table() -> None:
    points = link_points(ready_pose())
    assert fingertip_height_m(points) == pytest.approx(points[:, [7, 9], 2].min() - TABLE_TOP_M)


def test_the_arm_distance_is_that_of_densely_sampled_links() -> None:
    radius = module.RADIUS_M
    ends = list(zip([0, 1, 2, 3, 4, 6, 8], [1, 2, 3, 4, 5, 7, 9], strict=True))
    steps = np.linspace(0, 1, 40)[:, None]
    for q in any_poses(20):
        points = link_points(q)
        dense = [[points[s, i] * (1 - steps) + points[s, j] * steps for i, j in ends] for s in (0, 1)]
        sampled = min(
            float(np.linalg.norm(a[:, None] - b[None], axis=2).min()) - radius[i] - radius[j]
            for i, a in enumerate(dense[0])
            for j, b in enumerate(dense[1])
        )
        assert arm_distance_m(points) == pytest.approx(sampled, abs=0.012)
        assert arm_distance_m(points) <= sampled + 1e-9


def test_the_sideways_gap_is_never_above_the_distance() -> None:
    for q in any_poses(200):
        points = link_points(q)
        assert sideways_gap_m(points) <= arm_distance_m(points) + 1e-12


def test_the_sideways_gap_spares_the_pairs_at_rest() -> None:
    assert sideways_gap_m(link_points(ready_pose())) > Safety().min_arm_distance_m
