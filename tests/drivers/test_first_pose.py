"""Where arms are when a demonstration begins: many poses, calm ways to them, hands over the table. Called by pytest."""

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.cobot_magic import HIGH, LOW, SIDES, TABLE_TOP_M, ready_pose
from drivers.sim import first_pose
from drivers.sim.experts.script import demands
from drivers.sim.rollout import Rollout
from drivers.sim.tasks import make_task
from drivers.sim.tasks.task import grasp_m

Array = NDArray[np.float64]
_SEEDS = range(12)


class Followed(Rollout):
    """Notes the targets that it follows, and how high the lower hand is over the table."""

    def __init__(self, name: str) -> None:
        super().__init__(make_task(name), 32, 32, cameras=())
        self.plan: Array = np.zeros((0, 14))
        self.way: Array = np.zeros((0, 14))
        self.heights_m: list[float] = []

    def follow(self, target: NDArray[np.floating]) -> None:
        """And note it."""
        super().follow(target)
        self.way = np.concatenate([self.way, [np.asarray(target, np.float64)]])
        self.heights_m.append(min(grasp_m(self.physics.data, side)[2] for side in SIDES) - TABLE_TOP_M)


def led(name: str, seed: int) -> Followed:
    """A scene whose arms were led off their ready pose, or not."""
    rollout = Followed(name)
    rollout.reset(seed)
    rollout.plan = first_pose.plan_from_anywhere(rollout, np.random.default_rng(seed))
    return rollout


@pytest.fixture(scope="module")
def scenes() -> list[Followed]:
    return [led("container_place", seed) for seed in _SEEDS]


def test_some_begin_at_the_ready_pose_and_the_others_anywhere(scenes: list[Followed]) -> None:
    away = np.array([rollout.moment().q - ready_pose() for rollout in scenes])
    moved = np.abs(away).max(1) > 0.05
    assert 0 < (~moved).sum() < len(scenes) / 2
    assert (np.ptp(away[moved], axis=0)[[0, 1, 2, 3, 5, 7, 8, 9, 10, 12]] > 0.2).all()
    assert np.abs(away[:, [6, 13]]).max() < 0.002, "grippers stay open"


def test_the_ways_are_calm_and_end_at_rest_over_the_table(scenes: list[Followed]) -> None:
    for rollout in scenes:
        way = rollout.way
        if not len(way):
            continue
        speed, acceleration, jerk = demands(np.delete(way, [6, 13], axis=1))
        assert speed < 3.0 and acceleration < 5.0 and jerk < 100.0
        assert (way >= np.tile(LOW, 2)).all() and (way <= np.tile(HIGH, 2)).all()
        assert min(rollout.heights_m) > 0.03
        assert np.abs(rollout.moment().dq).max() < 0.02


def test_a_seed_gives_the_same_pose_again(scenes: list[Followed]) -> None:
    again = led("container_place", 3)
    np.testing.assert_array_equal(again.moment().q, scenes[3].moment().q)


def test_the_expert_goes_on_from_there(scenes: list[Followed]) -> None:
    done = 0
    for rollout in scenes:
        plan = rollout.plan
        assert np.abs(plan[0] - rollout.physics.commands().ravel()).max() < 0.03, "no jump"
        rollout.play(plan)
        done += rollout.physics.success()
    assert done >= len(scenes) - 1
