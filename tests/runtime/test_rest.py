"""The way to the rest pose, tick by tick under the real limits. Called by pytest."""

import numpy as np

from drivers.cobot_magic import rest_pose
from runtime import limits, rest
from runtime.config import Safety
from runtime.trajectory import Motion

DT_S = 0.005
LIMITS = limits.Limits.of(Safety())
STILL = np.zeros(14)


def away() -> np.ndarray:
    """Far from rest in every joint, the arms apart."""
    return rest_pose() + np.array([0.5, 0.6, -0.5, 0.6, -0.4, 0.8, -0.03, -0.5, 0.5, -0.6, -0.5, -0.5, -0.7, -0.05])


def the_way(now: Motion) -> list[Motion]:
    way, wanted = [now], None
    while not rest.arrived(way[-1]):
        assert len(way) < 20 / DT_S
        wanted = rest.toward_rest(wanted, way[-1], DT_S)
        way.append(limits.track(LIMITS, way[-1], wanted.q, DT_S, wanted.dq))
    return way


def test_it_arrives_slowly_and_without_a_jerk() -> None:
    way = the_way(Motion(away(), STILL, STILL))
    dq, ddq = (np.array([getattr(motion, name) for motion in way]) for name in ("dq", "ddq"))
    assert 0.3 < np.abs(dq).max() < 0.51
    assert np.abs(ddq).max() < 1.1
    changes = np.abs(np.diff(ddq, axis=0))
    assert changes[:, rest.ARMS].max() <= 6.0 * DT_S
    assert (changes <= LIMITS.jerk * DT_S * 1.001).all(), "a gripper stops at the end of its range"
    assert rest.at_rest(way[-1].q)


def test_at_rest_looks_at_the_arms_and_not_at_the_grippers() -> None:
    pose = rest_pose()
    pose[[6, 13]] = 0.0
    assert rest.at_rest(pose)
    for joint in np.flatnonzero(rest.ARMS):
        off = rest_pose()
        off[joint] += 0.06
        assert not rest.at_rest(off)


def test_there_is_nothing_to_do_at_rest() -> None:
    motion = Motion(rest_pose(), STILL, STILL)
    assert rest.arrived(motion)
    np.testing.assert_allclose(rest.toward_rest(None, motion, DT_S).q, rest_pose(), atol=1e-9)


def test_it_begins_anew_where_the_command_was_kept_back() -> None:
    """As by the distance between the arms."""
    way = the_way(Motion(away(), STILL, STILL))
    middle = way[len(way) // 2]
    kept = Motion(away(), STILL, STILL)
    np.testing.assert_allclose(rest.toward_rest(middle, kept, DT_S).q, away(), atol=1e-5)
    assert np.abs(rest.toward_rest(middle, middle, DT_S).q - away()).max() > 0.1
