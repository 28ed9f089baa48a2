"""Targets to network numbers and back, and the checks of `stats.json`.
Called by pytest; arrays are (H, J) or (J,)."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from models import normalize
from models.errors import ModelError
from models.normalize import Statistics

HORIZON, JOINTS = 6, 4


def statistics(squash: bool = False) -> Statistics:
    """Statistics with a different value everywhere."""
    random = np.random.default_rng(10)
    return Statistics(
        mean=random.normal(0, 0.1, (HORIZON, JOINTS)).astype(np.float32),
        spread=random.uniform(0.1, 1, (HORIZON, JOINTS)).astype(np.float32),
        state_mean=random.normal(0, 1, JOINTS).astype(np.float32),
        state_spread=random.uniform(0.5, 2, JOINTS).astype(np.float32),
        low=np.array([-2, -1, -3, 0], np.float32),
        high=np.array([2, 3, 1, 0.08], np.float32),
        squash=squash,
    )


@pytest.mark.parametrize("count", [0, 1, 3, HORIZON])
def test_normalised_targets_come_back(count: int) -> None:
    stats, random = statistics(), np.random.default_rng(11)
    targets = random.uniform(stats.low, stats.high, (count, JOINTS))
    observed = random.uniform(stats.low, stats.high)
    chunk = torch.zeros(HORIZON, JOINTS)
    chunk[:count] = stats.normalize(targets, observed)
    np.testing.assert_allclose(stats.denormalize(chunk, observed)[:count], targets, atol=1e-5)


def test_targets_are_relative_to_the_observed_joints() -> None:
    stats = statistics()
    targets, shift = np.random.default_rng(12).normal(0, 1, (HORIZON, JOINTS)), np.arange(JOINTS) * 0.5
    moved = stats.normalize(targets + shift, np.zeros(JOINTS) + shift)
    torch.testing.assert_close(moved, stats.normalize(targets, np.zeros(JOINTS)), rtol=0, atol=1e-5)


def test_absolute_targets_do_not_depend_on_the_observed_joints() -> None:
    stats = replace(statistics(), relative=False)
    targets = np.full((HORIZON, JOINTS), 0.05)
    seen = [stats.normalize(targets, np.full(JOINTS, q)) for q in (0.0, 0.5)]
    assert torch.equal(*seen)
    np.testing.assert_allclose(stats.denormalize(seen[0], np.full(JOINTS, 0.3)), targets, atol=1e-5)


def test_mean_motion_becomes_zero_and_one_spread_becomes_one() -> None:
    stats, observed = statistics(), np.ones(JOINTS)
    assert stats.normalize(observed + stats.mean, observed).abs().max() < 1e-5
    assert (stats.normalize(observed + stats.mean + stats.spread, observed) - 1).abs().max() < 1e-5


def test_state_is_centred_and_scaled() -> None:
    stats = statistics()
    assert stats.normalize_state(stats.state_mean.astype(np.float64)).abs().max() == 0
    one = stats.normalize_state((stats.state_mean + stats.state_spread).astype(np.float64))
    torch.testing.assert_close(one, torch.ones(JOINTS), rtol=0, atol=1e-5)


@pytest.mark.parametrize("squash", [False, True])
def test_targets_stay_inside_the_ranges(squash: bool) -> None:
    stats = statistics(squash)
    chunk = torch.randn(HORIZON, JOINTS) * 100
    targets = stats.denormalize(chunk, np.zeros(JOINTS))
    assert targets.dtype == np.float32
    assert (targets >= stats.low - 1e-6).all()
    assert (targets <= stats.high + 1e-6).all()


def test_squashing_is_smooth_and_rising_where_clipping_is_flat() -> None:
    stats = statistics(squash=True)
    chunks = [torch.full((HORIZON, JOINTS), value) for value in (-0.4, -0.2, 0.0, 0.2, 0.4)]
    middle = ((stats.low + stats.high) / 2).astype(np.float64)
    targets = np.stack([replace(stats, mean=stats.mean * 0).denormalize(chunk, middle) for chunk in chunks])
    assert (np.diff(targets, axis=0) > 0).all()
    np.testing.assert_allclose(targets[2], np.broadcast_to(middle, (HORIZON, JOINTS)), atol=1e-6)


def test_untrained_statistics_keep_targets_within_reach_of_the_rest_pose() -> None:
    rest, reach = np.array([0.5, -1.0]), np.array([0.2, 0.0])
    stats = normalize.untrained(HORIZON, rest, np.maximum(reach, 1e-6))
    targets = stats.denormalize(torch.randn(HORIZON, 2) * 50, rest)
    assert (np.abs(targets - rest) <= np.maximum(reach, 1e-6) + 1e-6).all()


def test_untrained_statistics_grow_over_the_chunk() -> None:
    spread = normalize.untrained(HORIZON, np.zeros(2), np.ones(2)).spread
    assert (np.diff(spread, axis=0) > 0).all()


@pytest.mark.parametrize("squash", [False, True])
def test_json_gives_the_same_statistics_back(squash: bool) -> None:
    stats = statistics(squash)
    back = Statistics.from_json(json.loads(json.dumps(stats.to_json())))
    for field in fields(Statistics):
        assert np.array_equal(getattr(back, field.name), getattr(stats, field.name))
    assert back.squash is squash


@pytest.mark.parametrize("name", [field.name for field in fields(Statistics)])
def test_missing_entry_is_named(name: str) -> None:
    values = statistics().to_json()
    del values[name]
    with pytest.raises(ModelError, match=f"'{name}' is missing"):
        Statistics.from_json(values)


@pytest.mark.parametrize("name", ["mean", "spread", "state_mean", "state_spread", "high"])
def test_entry_of_another_width_is_named(name: str) -> None:
    values = statistics().to_json() | {name: [0.0] * (JOINTS + 1)}
    with pytest.raises(ModelError, match=rf"{name}: expected .*shape .* got \({JOINTS + 1},\)"):
        Statistics.from_json(values)


@pytest.mark.parametrize("name", ["mean", "spread", "low", "high"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_entry_that_is_not_finite_is_named(name: str, value: float) -> None:
    whole = np.full_like(getattr(statistics(), name), value)
    values = statistics().to_json() | {name: whole.tolist()}
    with pytest.raises(
        ModelError, match=f"{name}: expected finite values up to 1e+06, got {value}".replace("+", r"\+")
    ):
        Statistics.from_json(values)
