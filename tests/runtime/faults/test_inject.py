"""What messages say of a fault, and how a row's samples are judged by its figures. Called by pytest; no robot runs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runtime.faults import judge, table
from runtime.faults.inject import note
from runtime.faults.injections import Switched
from runtime.faults.judge import Outcome, Verdict
from runtime.faults.row import Robot, Row, Sample
from runtime.messaging import messages

Build = Callable[..., Any]
BEGAN_NS = 1_000_000_000_000
ROW = Row("silent bus", Switched("left", {"silent": True}), "left arm: feedback", seen_ms=100, held_ms=100)
ROBOT = Robot("emulated arms", (), (ROW,))
GOOD = Sample(
    BEGAN_NS, seen_ms=50, held_ms=60, because_ms=60, back_ms=900, said="left arm: feedback is 51 ms old", moving_rad_s=0.5,
    shares={"velocity": 0.7, "acceleration": 1.0},
)  # fmt: skip


def ms(after: float) -> int:
    return BEGAN_NS + round(after * 1e6)


def missed(row: Row = ROW, robot: Robot = ROBOT, **changes: Any) -> list[str]:
    """What is missed by a good sample and one with some changes."""
    verdict = Verdict(row, robot, [GOOD, replace(GOOD, **changes)])
    judge.judge(verdict)
    return verdict.missed


def test_what_is_told_and_the_first_other_mode_are_noted(build: Build) -> None:
    sample = Sample(BEGAN_NS)
    said = (
        build(messages.SafetyState, stamp_ns=ms(-1), mode="HOLD", reasons=("left arm: feedback is 80 ms old",)),
        build(messages.SafetyState, stamp_ns=ms(10), mode="RUNNING", reasons=()),
        build(messages.Fault, stamp_ns=ms(20), text="camera head: no new frame"),
        build(messages.SafetyState, stamp_ns=ms(30), mode="HOLD", reasons=("chunk is old",)),
        build(messages.SafetyState, stamp_ns=ms(40), mode="HOLD", reasons=("left arm: feedback is 60 ms old",)),
        build(messages.SafetyState, stamp_ns=ms(50), mode="FAULT", reasons=("left arm: feedback is 70 ms old",)),
    )
    for message in said:
        note(ROW, sample, message, "RUNNING")
    assert (sample.seen_ms, sample.held_ms, sample.because_ms) == (40, 30, 40)
    assert (sample.said, sample.held_said) == ("left arm: feedback is 60 ms old", "chunk is old")


def test_a_fault_is_told_by_any_process(build: Build) -> None:
    row = replace(ROW, says="arms ended with signal 9", reaction="bus")
    sample = Sample(BEGAN_NS)
    note(row, sample, build(messages.Fault, stamp_ns=ms(70), text="arms ended with signal 9; restarting it"), "RUNNING")
    note(row, sample, build(messages.SafetyState, stamp_ns=ms(90), mode="DISARMED", reasons=("not armed",)), "RUNNING")
    assert (sample.seen_ms, sample.held_ms) == (70, None), "when they brake, the emulated arms know"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"seen_ms": 101.0}, "reported after 101 ms (limit 100)"),
        ({"seen_ms": None}, "no report of 'left arm: feedback' in 1 of 2"),
        ({"held_ms": 180.0}, "held after 180 ms (limit 100)"),
        ({"held_ms": None, "because_ms": None}, "the arms did not hold in 1 of 2"),
        ({"because_ms": None, "held_said": "chunk is old"}, "the arms held for another reason: chunk is old"),
        ({"back_ms": None}, "not RUNNING again in 1 of 2"),
        ({"back_ms": 21_000.0}, "RUNNING again after 21000 ms (limit 20000)"),
        ({"shares": {"acceleration": 1.5}}, "the motors saw 1.50 times the limit of acceleration"),
        ({"wrong": "the run had ended before this fault"}, "the run had ended before this fault"),
    ],
)
def test_a_figure_that_is_missed_is_one_line(changes: dict[str, Any], line: str) -> None:
    assert missed() == []
    assert missed(**changes) == [line]


def test_wider_limits_of_a_robot_widen_the_figures() -> None:
    assert missed(robot=replace(ROBOT, slack_ms=100), seen_ms=199, held_ms=199) == []
    assert missed(robot=replace(ROBOT, slack_ms=100), held_ms=201) == ["held after 201 ms (limit 200)"]


def test_arms_that_shall_go_on_may_not_hold() -> None:
    row = replace(ROW, reaction="none", most={"late ms": 5.0}, kept=("arms",))
    on = {"held_ms": None, "because_ms": None, "measured": {"late ms": 0.1}}
    verdict = Verdict(row, ROBOT, [replace(GOOD, **on)])
    judge.judge(verdict)
    assert verdict.missed == []
    verdict = Verdict(row, ROBOT, [replace(GOOD, held_said="chunk is old", measured={"late ms": 9.0})])
    judge.judge(verdict)
    assert verdict.missed == ["the arms left their mode: chunk is old", "late ms 9 (limit 5)"]
    assert "arms was started again" in missed(row, restarted=("arms",))
    assert "late ms: not measured in 2 of 2" in missed(row, measured={})


def test_braking_is_judged_where_the_arms_moved() -> None:
    row = replace(ROW, reaction="bus", held_ms=50)
    assert missed(row, held_ms=40) == ["braking after 60 ms (limit 50)"]
    assert missed(replace(row, held_ms=70), held_ms=None) == ["no braking was seen in 1 of 2"]
    assert missed(replace(row, held_ms=70), held_ms=None, moving_rad_s=0.0) == []


def test_the_table_shows_median_and_worst_and_marks_what_is_missed() -> None:
    verdict = Verdict(
        ROW, ROBOT, [replace(GOOD, seen_ms=seen) for seen in (10.0, 20.0, 90.0)], ["reported after 120 ms"]
    )
    words = table.line(verdict).split()
    assert words[:7] == ["!", "silent", "bus", "20", "90", "60", "60"]
    outcome = Outcome([verdict], [("session of 'emulated arms'", "session: 3 damaged chunks")] * 2)
    assert table.misses(outcome) == [
        "silent bus: reported after 120 ms",
        "session of 'emulated arms': session: 3 damaged chunks",
    ]
    plain = table.plain(verdict)
    assert plain["seen_ms"] == {"median": 20.0, "worst": 90.0} and len(plain["samples"]) == 3
