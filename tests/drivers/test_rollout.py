"""The robot without a clock: reproducible, and it goes where it is told. Called by pytest."""

import numpy as np
import pytest

from drivers.cobot_magic import ready_pose
from drivers.sim.rollout import CAMERAS, Rollout
from drivers.sim.tasks import make_task


def test_a_rollout_is_a_function_of_its_seed_and_targets() -> None:
    target, seen = ready_pose() + 0.05, list[object]()
    target[[6, 13]] = 0.05
    for _ in range(2):
        rollout = Rollout(make_task("empty_cup_place"), 48, 36, seed=1)
        rollout.reset(3)
        for _ in range(10):
            rollout.follow(target)
        last = rollout.moment()
        jpegs = rollout.pictures([last])
        seen.append((last.q.tobytes(), last.dq.tobytes(), tuple(jpegs[camera][0] for camera in CAMERAS)))
        rollout.close()
    assert seen[0] == seen[1]


def test_the_arms_reach_a_held_target_in_time() -> None:
    rollout = Rollout(make_task("empty_cup_place"), 48, 36)
    rollout.reset(0)
    target = ready_pose() + np.tile([0.2, -0.1, 0.1, 0.1, -0.1, 0.2, -0.02], 2)
    for _ in range(45):
        rollout.follow(target)
    np.testing.assert_allclose(rollout.moment().q, target, atol=0.01)
    assert rollout.physics.data.time == pytest.approx(45 / 30)
    rollout.close()
