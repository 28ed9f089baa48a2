"""What a live run is said to have needed of the machine, of sessions made by hand and of the recorded one. Called by pytest."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import machine_need
import pytest

from runtime.config.loading import load_settings, settings_to_json
from runtime.messaging import codec, messages
from runtime.messaging.topics import topic_of
from runtime.session import reader

Build = Callable[..., Any]
ROOT = Path(__file__).parents[2]
MS = 1_000_000
BEGIN_NS = 1_000_000_000_000


def reported(monkeypatch: pytest.MonkeyPatch, arrived: Sequence[messages.Message]) -> dict[str, float]:
    """Of a session with these messages."""
    settings = settings_to_json(load_settings(["--system1.period_s", "0.2", "--ratio", "4"]))
    log = reader.Session(Path("none"), metadata={"settings": settings})
    log.messages = [reader.Logged(topic_of(message), codec.encode(message)) for message in arrived]
    monkeypatch.setattr(reader, "read", lambda _: log)
    return machine_need.needs(Path("none"))


def ticks(build: Build, late_ms: int, count: int = 100, gap_ms: int = 0) -> list[messages.Message]:
    due = [BEGIN_NS + (5 * index + (gap_ms if index > 50 else 0)) * MS for index in range(count)]
    return [build(messages.ArmTarget, seq=i, deadline_ns=at, stamp_ns=at + late_ms * MS) for i, at in enumerate(due)]


def test_a_machine_that_keeps_up_lacks_nothing(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    found = reported(monkeypatch, ticks(build, late_ms=1))
    assert found["ticks"] == pytest.approx(0.02) and not machine_need.lacking(found)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("ticks", lambda build: ticks(build, late_ms=60)),
        ("pause", lambda build: ticks(build, late_ms=0, gap_ms=500)),
        ("masters", lambda build: [
            build(messages.ArmTarget, seq=seq, mode="RUNNING", deadline_ns=BEGIN_NS, stamp_ns=BEGIN_NS)
            for seq in range(11)
        ] + [
            build(messages.LeaderState, seq=seq, stamp_ns=BEGIN_NS + at_ms * MS, measured_ns=(BEGIN_NS + at_ms * MS,) * 2)
            for seq, at_ms in enumerate((5, 155))
        ]),
        ("system1", lambda build: [build(messages.ActionChunk, timing=messages.Timing(finished_ns=BEGIN_NS + 300 * MS))]),
        ("system2", lambda build: [build(messages.Conditions, timing=messages.Timing(finished_ns=BEGIN_NS + 900 * MS))]),
        ("loading", lambda build: [
            build(messages.Supervision, seq=index, stamp_ns=BEGIN_NS + index * 60_000 * MS,
                  processes=(messages.ProcessState(process="system1", state="starting", restarts=0),))
            for index in range(2)
        ]),
    ],
)  # fmt: skip
def test_what_the_machine_did_not_give_is_named(
    name: str, made: Callable[[Build], list[messages.Message]], build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = reported(monkeypatch, made(build))
    assert [need for need, ratio in found.items() if ratio > 1] == [name]
    assert machine_need.lacking(found) and name in machine_need.line(found)


def test_a_process_that_was_restarted_loads_anew(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[tuple[Any, int]] = [("starting", 0), ("alive", 10), ("exited", 50), ("starting", 51), ("alive", 61)]
    arrived = [
        build(messages.Supervision, seq=seq, stamp_ns=BEGIN_NS + at_s * 1000 * MS,
              processes=(messages.ProcessState(process="system1", state=state, restarts=0),))
        for seq, (state, at_s) in enumerate(states)
    ]  # fmt: skip
    assert not machine_need.lacking(reported(monkeypatch, arrived))


def test_without_a_session_nothing_is_said(tmp_path: Path) -> None:
    assert machine_need.needs(tmp_path) == {} and not machine_need.lacking({})


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("tests/runtime/test_machine_need.py::test_without_a_session_nothing_is_said", True),
        ("tests/runtime/test_machine_need.py::test_nothing", False),
        ("tests/runtime/nowhere.py::test_nothing", False),
        ("tests/runtime/supervisor/test_live.py::test_nothing_is_left_behind", False),
        ("tests/runtime/arms/test_takeover.py::test_a_teacher_with_four_buses_brings_the_arms_home_in_mid_run", False),
    ],
)
def test_a_pure_form_is_a_test_without_a_clock(name: str, there: bool) -> None:
    assert machine_need.has_test(ROOT, name) is there
