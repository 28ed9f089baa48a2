"""Perturbed prefixes: off is off, no jump at their end, the demonstration again after it, and as far off as they may be.
Called by pytest; targets are (H, J)."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from models.train.choices import Prefixes
from models.train.prefixes import Demonstrated, continued, perturbed

HORIZON, JOINTS, COUNT = 32, 14, 8
ARMS = [joint for joint in range(JOINTS) if joint not in (6, 13)]
Array = NDArray[np.floating]


def demonstration(seed: int, step: int = 20) -> Demonstrated:
    """A smooth motion of 90 steps, whose leader is a little ahead."""
    random = np.random.default_rng(seed)
    places = np.linspace(0, 2, 90)[:, None]
    way = random.uniform(-0.5, 0.5, JOINTS) * np.sin(places * random.uniform(1, 2, JOINTS))
    way[:, [6, 13]] *= 0.03
    return Demonstrated(way[step], np.roll(way, -1, axis=0)[:-1], step)


def made(seed: int, count: int = COUNT, **chosen: Any) -> tuple[Array, Array]:
    """A perturbed chunk, and the demonstrated one."""
    shown, random = demonstration(0), np.random.default_rng(seed)
    prefixes = Prefixes(share=1.0).model_copy(update=chosen)
    chunk = perturbed(shown, demonstration(1), count, HORIZON, prefixes, random)
    return chunk, shown.chunk(HORIZON)


def test_nothing_is_perturbed_where_it_is_off() -> None:
    for seed in range(20):
        chunk, plain = made(seed, share=0.0)
        assert np.array_equal(chunk, plain)


def test_as_many_prefixes_are_perturbed_as_asked() -> None:
    same = [np.array_equal(*made(seed, share=0.7)) for seed in range(400)]
    assert np.mean(same) == pytest.approx(0.3, abs=0.07)


def test_an_offset_is_continued_and_led_back() -> None:
    """More than four fifths of it are left at the first free target, nothing after the blend, and it never grows."""
    targets = demonstration(0).chunk(HORIZON)
    left = (continued(targets, np.full((COUNT, JOINTS), 0.05), 12) - targets) / 0.05
    assert_allclose(left[:COUNT], 1)
    assert (left[COUNT] > 0.95).all()
    assert_allclose(left[COUNT + 12 :], 0, atol=1e-9)
    assert (np.diff(left[COUNT - 1 :], axis=0) <= 1e-9).all()


def test_what_follows_a_prefix_goes_on_as_fast() -> None:
    """Its deviation grows by 0.004 rad a target: so it does at first, and then comes back."""
    targets = demonstration(0).chunk(HORIZON)
    off = np.linspace(1, COUNT, COUNT)[:, None] * np.full(JOINTS, 0.004)
    left = continued(targets, off, 12) - targets
    steps = np.diff(left, axis=0)[:, 0]
    assert steps[COUNT - 1] > 0 and np.abs(np.diff(steps)).max() < 0.003
    assert np.abs(left).max() < 1.5 * off.max()


def test_prefixes_differ_and_end_without_a_jump() -> None:
    ends: list[Array] = []
    for seed in range(60):
        chunk, plain = made(seed)
        assert chunk.shape == (HORIZON, JOINTS)
        deviation = chunk - plain
        assert np.abs(deviation[:COUNT]).max() > 1e-4
        assert np.abs(deviation[:COUNT, ARMS]).max() <= 0.15 + 1e-9
        assert np.abs(np.diff(deviation[COUNT - 1 :], axis=0)).max() < 0.06
        assert_allclose(chunk[COUNT + 12 :], plain[COUNT + 12 :], atol=1e-9)
        ends.append(deviation[COUNT - 1, ARMS])
    assert 0.02 < np.abs(ends).mean() < 0.1


def test_a_delayed_prefix_is_the_demonstration_of_before() -> None:
    shown = demonstration(0)
    early = {delay: shown.chunk(COUNT, delay) for delay in range(1, 4)}
    found = {
        delay
        for seed in range(80)
        for delay, prefix in early.items()
        if np.allclose(made(seed, offset_rad=0.0, offset_m=0.0, delay_steps=3)[0][:COUNT], prefix)
    }
    assert found == {1, 2, 3}


@pytest.mark.parametrize("count", [1, HORIZON - 1, HORIZON, HORIZON + 5])
def test_prefixes_of_any_length_fit(count: int) -> None:
    for seed in range(12):
        chunk, plain = made(seed, count)
        assert chunk.shape == plain.shape and np.isfinite(chunk).all()


def test_a_chunk_at_either_end_repeats_the_outermost_target() -> None:
    targets = np.arange(10, dtype=np.float64)[:, None]
    assert_allclose(Demonstrated(targets[0], targets, 1).chunk(4, delay=3)[:, 0], [0, 0, 0, 1])
    assert_allclose(Demonstrated(targets[0], targets, 8).chunk(4)[:, 0], [8, 9, 9, 9])
