"""Disturbances of demonstrations: seeded, gentle, and none on the grippers."""

import numpy as np
from numpy.testing import assert_array_equal

from drivers.sim.disturbance import disturbance

_MANY = [disturbance(np.random.default_rng(seed), 200) for seed in range(200)]


def test_a_seed_gives_the_same_again() -> None:
    assert_array_equal(disturbance(np.random.default_rng(3), 200), _MANY[3])


def test_a_quarter_is_left_alone() -> None:
    assert 30 <= sum(not offsets.any() for offsets in _MANY) <= 70


def test_grippers_are_left_alone() -> None:
    assert not any(offsets[:, [6, 13]].any() for offsets in _MANY)


def test_it_begins_at_the_plan_and_is_no_jump() -> None:
    assert all(np.abs(offsets[0]).max() < 1e-9 for offsets in _MANY)
    assert max(np.abs(np.diff(offsets, axis=0)).max() for offsets in _MANY) < 0.06


def test_some_are_large_enough_to_matter() -> None:
    assert np.mean([np.abs(offsets).max() > 0.05 for offsets in _MANY]) > 0.3
