"""The ways to the ready and to the rest pose, tick by tick under the real limits. Called by pytest."""

import numpy as np
import pytest

from drivers.cobot_magic import OPEN_GRIP_M, REST_Q_RAD, ready_pose
from runtime.arms import limits, parking
from runtime.arms.collision import fingertip_height_m, link_points
from runtime.arms.trajectory import Motion
from runtime.config.safety_settings import Safety

DT_S = 0.005
LIMITS = limits.Limits.of(Safety())
STILL = np.zeros(14)


def folded_pose() -> np.ndarray:
    """Both arms at rest."""
    return np.tile([*REST_Q_RAD, OPEN_GRIP_M], 2)


def away() -> np.ndarray:
    """Far from ready in every joint, the arms apart."""
    return ready_pose() + np.array([0.5, 0.6, -0.5, 0.6, -0.4, 0.8, -0.03, -0.5, 0.5, -0.6, -0.5, -0.5, -0.7, -0.05])


def the_way(now: Motion, pose: parking.Pose) -> list[Motion]:
    way, wanted = [now], None
    while not parking.arrived(pose, way[-1]):
        assert len(way) < 20 / DT_S
        wanted = parking.toward(pose, wanted, way[-1], DT_S)
        way.append(limits.track(LIMITS, way[-1], wanted.q, DT_S, wanted.dq))
    return way


@pytest.mark.parametrize(
    ("begin", "pose"), [(away(), ready_pose()), (ready_pose(), folded_pose()), (folded_pose(), ready_pose())]
)
def test_it_arrives_slowly_and_without_a_jerk(begin: parking.Pose, pose: parking.Pose) -> None:
    way = the_way(Motion(begin, STILL, STILL), pose)
    dq, ddq = (np.array([getattr(motion, name) for motion in way]) for name in ("dq", "ddq"))
    assert 0.3 < np.abs(dq).max() < 0.51
    assert np.abs(ddq).max() < 1.1
    changes = np.abs(np.diff(ddq, axis=0))
    assert changes[:, parking.ARMS].max() <= 6.0 * DT_S
    assert (changes <= LIMITS.jerk * DT_S * 1.001).all(), "a gripper stops at the end of its range"
    assert parking.near(pose, way[-1].q)
    assert min(fingertip_height_m(link_points(motion.q)) for motion in way[::20]) > 0.1


def test_to_be_near_looks_at_the_arms_and_not_at_the_grippers() -> None:
    pose = ready_pose()
    pose[[6, 13]] = 0.0
    assert parking.near(ready_pose(), pose)
    for joint in np.flatnonzero(parking.ARMS):
        off = ready_pose()
        off[joint] += 0.06
        assert not parking.near(ready_pose(), off)


def test_there_is_nothing_to_do_when_it_is_there() -> None:
    motion = Motion(ready_pose(), STILL, STILL)
    assert parking.arrived(ready_pose(), motion)
    np.testing.assert_allclose(parking.toward(ready_pose(), None, motion, DT_S).q, ready_pose(), atol=1e-9)


def test_it_begins_anew_where_the_command_was_kept_back() -> None:
    """As by the distance between the arms."""
    way = the_way(Motion(away(), STILL, STILL), ready_pose())
    middle = way[len(way) // 2]
    kept = Motion(away(), STILL, STILL)
    np.testing.assert_allclose(parking.toward(ready_pose(), middle, kept, DT_S).q, away(), atol=1e-5)
    assert np.abs(parking.toward(ready_pose(), middle, middle, DT_S).q - away()).max() > 0.1


def test_a_way_goes_on_alike_without_what_was_planned_before() -> None:
    """As in a replay that begins in the middle of it."""
    now, wanted = Motion(away(), STILL, STILL), None
    for tick in range(200):
        after = parking.toward(ready_pose(), wanted, now, DT_S)
        if tick % 50 == 20:
            parking._planner.cache_clear()  # pyright: ignore[reportPrivateUsage]
            again = parking.toward(ready_pose(), wanted, now, DT_S)
            assert all(np.array_equal(getattr(after, name), getattr(again, name)) for name in ("q", "dq", "ddq"))
        wanted = now = after
