"""The scripted experts: hands and joints fit, no joint is too fast, and the tasks get done. Called by pytest."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.cobot_magic import HIGH, LOW, bases, ready_pose
from drivers.kinematics import link_poses
from drivers.sim import experts
from drivers.sim.experts.reach import GRASP_M, Hand, hand_of, joints_for, over
from drivers.sim.experts.script import Script, Unreachable, demands, minimum_jerk
from drivers.sim.physics import Physics
from drivers.sim.rollout import follow
from drivers.sim.tasks import TASKS, make_task

REST = ready_pose()[:6]


def done(physics: Physics, targets: NDArray[np.float64]) -> bool:
    """Let the arms follow targets (T, 14); whether the task is done then."""
    for before, target in itertools.pairwise([ready_pose(), *targets]):
        follow(physics, before, target)
    return physics.success()


@pytest.mark.parametrize(
    "hand", [Hand(0.4, 0.3, 0.1, 0.4), Hand(0.5, -0.2, 0.1, 1.0, 0.3), Hand(0.35, 0.0, 0.05, 1.35, 0, 1.2)]
)
def test_joints_bring_the_hand_there(hand: Hand) -> None:
    q, residual = joints_for(hand, REST)
    assert residual < 1e-4
    flange = link_poses(q)[5]
    np.testing.assert_allclose(flange[:3, 3] + GRASP_M * flange[:3, 2], hand.pose()[:3, 3], atol=1e-4)
    np.testing.assert_allclose(flange[:3, :3], hand.pose()[:3, :3], atol=1e-3)


def test_a_hand_out_of_reach_leaves_a_residual() -> None:
    assert joints_for(Hand(0.9, 0.0, 0.1, 0.3), REST)[1] > 0.05
    physics = Physics(make_task("pick_apple_messy"))
    physics.reset(0)
    script = Script.begin(physics)
    with pytest.raises(Unreachable, match="the left arm cannot reach"):
        script.move(1.0, {0: Hand(0.9, 0.0, 0.1, 0.3)})
    assert script.rows == []


def test_the_hand_at_rest_is_read_back() -> None:
    q, residual = joints_for(hand_of(REST), REST + 0.1)
    assert residual < 1e-4
    np.testing.assert_allclose(q, REST, atol=1e-3)


@pytest.mark.parametrize("side", [0, 1])
def test_a_place_in_the_world_is_the_hands_place(side: int) -> None:
    place = np.array([0.05, 0.02, 0.83])
    there = bases()[side] @ over(side, place, 0.4).pose()
    np.testing.assert_allclose(there[:3, 3], place, atol=1e-12)


def test_drawing_back_goes_along_the_fingers() -> None:
    hand = Hand(0.5, 0.3, 0.1, 0.4, 0.5)
    back = hand.back(0.1)
    moved = hand.pose()[:3, 3] - back.pose()[:3, 3]
    np.testing.assert_allclose(moved, 0.1 * hand.pose()[:3, 2], atol=1e-12)
    np.testing.assert_allclose(hand.pose()[:3, :3], back.pose()[:3, :3], atol=1e-12)


def test_minimum_jerk_begins_and_ends_at_rest() -> None:
    shares = np.linspace(0, 1, 1001)
    way = np.array([minimum_jerk(share) for share in shares])
    assert (way[0], way[-1]) == (0, 1)
    speed = np.gradient(way, shares)
    assert abs(speed[0]) < 1e-2 > abs(speed[-1])
    assert np.all(speed >= -1e-9)


@pytest.mark.parametrize("name", sorted(TASKS))
@pytest.mark.parametrize("seed", [1000, 1001, 1002])
def test_experts_do_their_tasks_within_limits(name: str, seed: int) -> None:
    physics = Physics(make_task(name))
    physics.reset(seed)
    targets = experts.plan(physics)
    assert len(targets) <= TASKS[name].step_limit
    joints = np.delete(targets, [6, 13], axis=1)
    speed, acceleration, jerk = demands(joints)
    assert speed <= 1.6 + 1e-9 and acceleration <= 5 and jerk <= 100
    assert (targets >= np.tile(LOW, 2) - 1e-9).all()
    assert (targets <= np.tile(HIGH, 2) + 1e-9).all()
    assert done(physics, targets)


def test_an_expert_is_a_function_of_the_scene() -> None:
    physics = Physics(make_task("pick_apple_messy"))
    physics.reset(5)
    first = experts.plan(physics)
    physics.reset(5)
    assert np.array_equal(first, experts.plan(physics))
