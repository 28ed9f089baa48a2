"""The capsules that cover an arm's links: they follow the kinematics; neighbours are left out; the poses of work are allowed.
Called by pytest."""

import numpy as np
import pytest

from drivers.cobot_magic import REST_Q_RAD, TABLE_TOP_M, bases, ready_pose
from drivers.kinematics import link_poses
from runtime.arms.bodies import CAPSULES, LIFTED, PAIRS, RADII_M, capsule_ends, link_height_m, own_distance_m
from runtime.arms.limits import Array, Limits
from runtime.config.safety_settings import Safety

SAFETY = Safety()
LIMITS = Limits.of(SAFETY)
REST = np.tile([*REST_Q_RAD, 0.0], 2)
PALM = [one.name for one in CAPSULES].index("palm")


def any_poses(count: int) -> Array:
    """Poses (count, 14) from a fixed seed, anywhere in the ranges."""
    return np.random.default_rng(3).uniform(LIMITS.low, LIMITS.high, (count, 14))


@pytest.mark.parametrize("q", any_poses(5))
def test_the_capsules_follow_the_links(q: Array) -> None:
    ends = capsule_ends(q)
    for side, base in enumerate(bases()):
        frames = [base, *(base @ link_poses(q[7 * side : 7 * side + 6]))]
        for place, one in enumerate(CAPSULES):
            for end, at_m in enumerate((one.begin_m, one.end_m)):
                beside_m = at_m[1] + one.opens * q[7 * side + 6]
                expected = frames[one.link] @ np.array([at_m[0], beside_m, at_m[2], 1.0])
                np.testing.assert_allclose(ends[side, place, end], expected[:3], atol=1e-12)


def test_many_poses_are_measured_as_one_by_one() -> None:
    q = any_poses(20)
    ends = [capsule_ends(one) for one in q]
    assert link_height_m(capsule_ends(q)) == min(map(link_height_m, ends))
    assert own_distance_m(capsule_ends(q)) == min(map(own_distance_m, ends))


def test_the_height_is_that_of_the_lowest_point_of_a_capsule() -> None:
    q = ready_pose()
    q[[1, 2]] = 2.2, -0.8
    ends = capsule_ends(q)
    lowest_m = float(ends[0, PALM, :, 2].min()) - RADII_M[PALM] - TABLE_TOP_M
    assert link_height_m(ends) == pytest.approx(lowest_m) and lowest_m < 0.05
    assert link_height_m(ends, TABLE_TOP_M + 0.1) == pytest.approx(lowest_m - 0.1)


def test_the_own_distance_is_that_of_densely_sampled_links() -> None:
    steps = np.linspace(0, 1, 60)[:, None]
    for q in any_poses(20):
        ends = capsule_ends(q)[0]
        dense = ends[:, None, 0] * (1 - steps) + ends[:, None, 1] * steps
        sampled = min(
            float(np.linalg.norm(dense[a][:, None] - dense[b][None], axis=2).min()) - RADII_M[a] - RADII_M[b]
            for a, b in PAIRS
        )
        assert own_distance_m(ends) == pytest.approx(sampled, abs=0.005)
        assert own_distance_m(ends) <= sampled + 1e-9


def test_neighbours_and_fingertips_are_left_out() -> None:
    """Links that two joints connect, or one, meet there; fingers may touch the table."""
    apart = {(CAPSULES[a].name, CAPSULES[b].name) for a, b in PAIRS}
    assert ("base", "forearm") in apart and ("upper arm", "palm") in apart and ("shoulder", "finger b") in apart
    assert not apart & {("base", "shoulder"), ("elbow", "forearm"), ("shoulder", "wrist"), ("wrist's end", "palm")}
    lifted = {CAPSULES[place].name for place in LIFTED}
    assert {"elbow", "forearm", "wrist", "palm"} < lifted and not lifted & {"base", "column", "finger a", "finger b"}


@pytest.mark.parametrize("q", [ready_pose(), REST, np.zeros(14)], ids=["ready", "rest", "the maker's zero"])
def test_the_poses_of_work_keep_the_limits(q: Array) -> None:
    ends = capsule_ends(q)
    assert link_height_m(ends) > SAFETY.min_link_height_m + 0.03
    assert own_distance_m(ends) > SAFETY.min_own_distance_m
