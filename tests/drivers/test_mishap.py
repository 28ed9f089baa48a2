"""Attempts that go wrong: they leave a scene that is not done and that the expert can still do. Called by pytest."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.cobot_magic import OPEN_GRIP_M, ready_pose
from drivers.sim import experts, mishap
from drivers.sim.experts.script import Script
from drivers.sim.rollout import Rollout
from drivers.sim.tasks import make_task

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def rollout() -> Rollout:
    """The apple's scene; nothing is rendered."""
    return Rollout(make_task("pick_apple_messy"), 32, 32)


def attempt(rollout: Rollout, seed: int) -> tuple[bool, Array]:
    """Whether an attempt failed, and the scene after it."""
    rollout.reset(seed)
    failed = mishap.fail(rollout, experts.plan(rollout.physics), np.random.default_rng(seed))
    return failed, rollout.physics.qpos()


def test_a_seed_gives_the_same_failure_again(rollout: Rollout) -> None:
    (first, scene), (again, same) = attempt(rollout, 500_000), attempt(rollout, 500_000)
    assert first == again
    np.testing.assert_array_equal(scene, same)
    assert not np.array_equal(scene, attempt(rollout, 500_001)[1])


def test_the_expert_does_it_at_the_second_try(rollout: Rollout) -> None:
    done = failures = 0
    for seed in range(500_000, 500_006):
        if not attempt(rollout, seed)[0]:
            continue
        failures += 1
        assert not rollout.physics.success()
        for target in experts.plan(rollout.physics):
            rollout.follow(target)
        done += rollout.physics.success()
    assert failures >= 3
    assert done >= failures - 1


class Steady(np.random.Generator):
    """Draws the middle of every range: an attempt without a mistake."""

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        """The middle."""
        return np.full(size, (low + high) / 2)


def test_an_attempt_that_holds_the_thing_is_none(rollout: Rollout) -> None:
    rollout.reset(500_000)
    before_the_lift = experts.plan(rollout.physics)[:82]
    assert mishap.fail(rollout, before_the_lift, Steady(np.random.PCG64(0))) is False
    assert not rollout.physics.success()


def test_a_script_begins_where_the_arms_are_and_opens_the_grippers(rollout: Rollout) -> None:
    rollout.reset(500_000)
    assert Script.begin(rollout.physics).rows == []
    away = ready_pose()
    away[[0, 6]] += (0.2, -0.03)
    rollout.follow(away)
    script = Script.begin(rollout.physics)
    np.testing.assert_allclose(script.targets()[-1][[0, 6]], (away[0], OPEN_GRIP_M))
    assert np.ptp(script.targets()[:, 0]) == 0
