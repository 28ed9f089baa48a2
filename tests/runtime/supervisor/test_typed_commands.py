"""Keys at the robot's terminal: the commands they send, in which order, and the answer to each. Called by pytest."""

from collections.abc import Callable
from typing import Any

import pytest

from runtime.host import terminal
from runtime.messaging import messages
from runtime.supervisor import recording_state
from runtime.supervisor.record import Recording
from runtime.supervisor.robot import Robot
from runtime.supervisor.typed_commands import GIVE_UP_NS, TypedCommands

Build = Callable[..., Any]
NOW_NS = 1_000_000_000_000
EPOCH = 1


class Operator:
    """Types, and reads what is reported; the arms answer when `arms` says so."""

    def __init__(self, build: Build) -> None:
        self.build = build
        self.sent: list[str] = []
        self.reported: list[str] = []
        self.typed = TypedCommands(self.send, self.reported.append, EPOCH)

    def send(self, name: str) -> int:
        self.sent.append(name)
        return len(self.sent) - 1

    def arms(self, answer: str = "", mode: str = "HOLD", seq: int | None = None, epoch: int = EPOCH) -> None:
        answered = (epoch, len(self.sent) - 1 if seq is None else seq)
        reasons = () if mode == "RUNNING" else ("waiting for the operator; send `run`",)
        state = self.build(messages.SafetyState, mode=mode, reasons=reasons, answered=answered, answer=answer)
        self.typed.hear(state, NOW_NS)


@pytest.fixture
def operator(build: Build) -> Operator:
    return Operator(build)


def test_an_obeyed_command_is_answered_once(operator: Operator) -> None:
    operator.typed.give(("hold",), NOW_NS)
    for _ in range(3):
        operator.arms()
    assert operator.reported == ["hold: accepted; mode HOLD; waiting for the operator; send `run`"]


def test_a_refused_command_says_why(operator: Operator) -> None:
    operator.typed.give(("takeover",), NOW_NS)
    operator.arms("the leaders are wired to the arms")
    assert operator.reported == ["takeover: refused: the leaders are wired to the arms"]


def test_a_key_that_cannot_confirm_names_the_command_that_can(operator: Operator) -> None:
    operator.typed.give(("clear",), NOW_NS)
    operator.arms("support the arms, then send `clear` again and confirm it")
    refused, how = operator.reported
    assert refused.startswith("clear: refused: support the arms")
    assert how.startswith("next, to confirm that") and how.endswith("operator.sh clear --confirm")


def test_a_row_goes_on_with_each_answer(operator: Operator) -> None:
    operator.typed.give(("clear", "arm", "run"), NOW_NS)
    assert operator.sent == ["clear"]
    operator.arms()
    operator.arms()
    operator.arms(mode="RUNNING")
    assert operator.sent == ["clear", "arm", "run"]
    assert operator.reported == ["run: accepted; mode RUNNING"]


def test_a_refusal_ends_the_row(operator: Operator) -> None:
    operator.typed.give(("arm", "run"), NOW_NS)
    operator.arms("arming blocked")
    operator.arms()
    assert operator.sent == ["arm"]
    assert operator.reported == ["arm: refused: arming blocked"]


def test_a_hold_waits_for_no_answer(operator: Operator) -> None:
    operator.typed.give(("clear", "arm", "run"), NOW_NS)
    operator.typed.give(("hold",), NOW_NS)
    operator.arms(seq=0)  # of the one before
    operator.arms()
    assert operator.sent == ["clear", "hold"]
    assert operator.reported == ["hold: accepted; mode HOLD; waiting for the operator; send `run`"]


def test_others_answers_are_not_taken_for_ones_own(operator: Operator) -> None:
    operator.typed.give(("hold",), NOW_NS)
    operator.arms(epoch=77)
    assert operator.reported == []


def test_arms_that_do_not_answer_are_told(operator: Operator) -> None:
    operator.typed.give(("run",), NOW_NS)
    operator.typed.check(NOW_NS + GIVE_UP_NS)
    assert operator.reported == []
    operator.typed.check(NOW_NS + GIVE_UP_NS + 1)
    operator.typed.check(NOW_NS + 2 * GIVE_UP_NS)
    assert operator.reported == ["run: no answer from the arms process within 3 s; press the key again"]


@pytest.mark.parametrize("command", [Robot, Recording])
@pytest.mark.parametrize("key", ["?", "x", "\x1b[A", "\n"])
def test_every_other_key_shows_the_keys(command: type[Robot], key: str, capsys: pytest.CaptureFixture[str]) -> None:
    robot = command.__new__(command)
    reported: list[str] = []

    class Status:
        answer = staticmethod(reported.append)

    robot.status = Status()  # pyright: ignore[reportAttributeAccessIssue]
    robot.obey(key)
    assert len(reported) == 1 and robot.keys in reported[0]
    assert reported[0].startswith("x has no function here") or key != "x"


def test_the_keys_are_all_explained() -> None:
    for keys, pressed in ((terminal.KEYS, "rtq?"), (recording_state.KEYS, "skdbq?")):
        assert all(f"{key}: " in keys.replace(" (pedal)", "") for key in pressed)
    assert "space: hold" in terminal.KEYS
