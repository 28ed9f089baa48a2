"""Hostile chunks of every kind, judged at the emulated arms' end of the wire; and that the judge sees what it shall see.
Called by pytest; the vendor's SDK is real, the bus is python-can's. `bench.sh --fuzz` does the same a million times."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from drivers.piper import PiperArm
from runtime.arms import limits, target_stream
from runtime.arms.limits import Array, Limits
from runtime.arms.trajectory import Motion
from runtime.bench import fuzz

CHUNKS = 4000
FEWER_CHUNKS = 1500  # find each of the three at least 50 times


@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_that_breaks_a_limit_reaches_a_bus(seed: int) -> None:
    found = fuzz.attack(fuzz.Job(CHUNKS, seed))
    assert found.wrong_bytes == 0
    assert dict(found.broken) == dict.fromkeys(found.broken, 0)
    assert len(found.chunks) == 13 and found.chunks.total() == CHUNKS
    assert found.undecodable > 0.2 * CHUNKS and found.spliced > 0.05 * CHUNKS
    assert found.running > 0.3 * found.ticks and found.faults > 0
    assert found.travelled_rad > 0.05, "they should have moved"
    assert max(found.share.values()) > 0.99, "and have come near a limit"


@pytest.mark.parametrize("kind", ["arms stalled", "buses stalled", "all stalled", "clock goes back", "clock stands"])
def test_what_is_held_up_breaks_no_limit(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One kind alone, three times as often: velocity, acceleration and jerk from tick to tick, as the motors see them."""
    attacked = fuzz.Fuzz(fuzz.Job(FEWER_CHUNKS, 3))
    monkeypatch.setattr(fuzz, "_DISTURBED_SHARE", 0.03)
    monkeypatch.setattr(attacked, "kinds", {kind: attacked.kinds[kind]})
    try:
        found = attacked.run()
    finally:
        attacked.close()
    assert found.disturbed[kind] > 10 and found.travelled_rad > 0.05
    assert found.wrong_bytes == 0 and found.broken.total() == 0, found.share


def test_a_process_that_stops_at_once_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was before: without targets the arm stood at its last one, whatever its speed."""
    monkeypatch.setattr(fuzz, "_DISTURBED_SHARE", 0.03)
    stops = target_stream.brake_joints

    def at_once(bounds: Array, motion: Array, dt_s: float) -> Array:
        return (
            np.stack((motion[0], 0 * motion[1], 0 * motion[2])) if bounds.shape[1] == 7 else stops(bounds, motion, dt_s)
        )

    monkeypatch.setattr(target_stream, "brake_joints", at_once)
    monkeypatch.setattr(target_stream, "continues", lambda *_: True)  # or the stream itself would keep the limits
    found = fuzz.attack(fuzz.Job(FEWER_CHUNKS, 3))
    assert found.broken["acceleration"] > 0 and found.share["acceleration"] > 2


def test_the_same_seed_gives_the_same() -> None:
    assert fuzz.attack(fuzz.Job(300, 5)) == fuzz.attack(fuzz.Job(300, 5))


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("velocity", {"velocity": 2, "acceleration": 4, "jerk": 10}),  # so that the speed is reached soon
        ("acceleration", {"acceleration": 2}),
        ("jerk", {"jerk": 2}),
    ],
)
def test_a_limit_that_is_not_kept_is_found(name: str, times: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    kept = limits.track

    def careless(bounds: Limits, *rest: Any) -> Motion:
        return kept(replace(bounds, **{name: getattr(bounds, name) * factor for name, factor in times.items()}), *rest)

    monkeypatch.setattr(limits, "track", careless)
    assert fuzz.attack(fuzz.Job(FEWER_CHUNKS, 1)).broken[name] > 0


@pytest.mark.parametrize(
    ("limit", "name"), [("min_link_height_m", "link height"), ("min_own_distance_m", "distance within an arm")]
)
def test_links_that_come_too_near_are_found(limit: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ready pose is too near already, for a judge that asks for 0.15 m."""
    of = Limits.of
    monkeypatch.setattr(Limits, "of", lambda safety: replace(of(safety), **{limit: 0.15}))  # pyright: ignore
    found = fuzz.attack(fuzz.Job(100, 1))
    assert found.broken[name] == found.sent > 0
    assert found.broken.total() == found.broken[name]


def test_wrong_bytes_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    command = PiperArm.command

    def off(arm: PiperArm, q: Array, now_ns: int) -> None:
        command(arm, q + np.eye(7)[2] * 1e-4, now_ns)

    monkeypatch.setattr(PiperArm, "command", off)
    found = fuzz.attack(fuzz.Job(100, 1))
    assert found.wrong_bytes >= found.sent > 0


def test_a_run_adds_its_shares_up() -> None:
    result = fuzz.run(30, 7, 1)
    assert result["kept"] and sum(result["chunks"].values()) == 30
