"""Targets in -1..1: absolute, and counted from the observed joints. Called by pytest; rad, gripper m."""

from typing import Literal

import numpy as np
import pytest
import torch

from models.video_policy.action_range import min_max
from models.video_policy.sizes import small


@pytest.mark.parametrize("frame", ["relative", "absolute"])
def test_demonstrations_fill_the_range_and_come_back(frame: Literal["relative", "absolute"]) -> None:
    random = np.random.default_rng(0)
    observed = random.normal(size=(50, 14)).astype(np.float32)
    targets = (observed[:, None] + random.normal(size=(50, 6, 14)) * 0.1).astype(np.float32)
    statistics = min_max(small().action.model_copy(update={"frame": frame}), targets, observed)
    unit = statistics.normalize(targets, observed.astype(np.float64)).numpy()
    np.testing.assert_allclose(unit.min((0, 1)), -1, atol=1e-5)
    np.testing.assert_allclose(unit.max((0, 1)), 1, atol=1e-5)
    back = statistics.denormalize(torch.from_numpy(unit[7]), observed[7].astype(np.float64))
    np.testing.assert_allclose(back, targets[7], atol=1e-5)


def test_only_relative_targets_follow_the_joints() -> None:
    observed = np.zeros((2, 14), np.float32)
    observed[1] = 1.0
    targets = observed[:, None] + np.array([-0.1, 0.3], np.float32)[None, :, None]
    found = {
        frame: min_max(small().action.model_copy(update={"frame": frame}), targets, observed)
        for frame in ("relative", "absolute")
    }
    assert found["relative"].mean[0, 0] == pytest.approx(0.1)
    assert found["relative"].spread[0, 0] == pytest.approx(0.2)
    assert found["absolute"].mean[0, 0] == pytest.approx(0.6)
    assert found["absolute"].spread[0, 0] == pytest.approx(0.7)


def test_a_joint_that_never_moves_does_not_become_all_noise() -> None:
    still = np.full((3, 4, 14), 0.5, np.float32)
    statistics = min_max(small().action, still, still[:, 0])
    assert (statistics.spread >= 0.002).all()
