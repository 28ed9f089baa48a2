"""What an export leaves out of a session is said, each with its reason. Called by pytest; the session is made by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from drivers.cobot_magic import CAMERAS
from models.errors import ModelError
from runtime.messaging import codec, messages
from runtime.messaging.topics import topic_of
from runtime.session import reader
from runtime.session.episodes import Log, episodes

Build = Callable[..., Any]
S, TICK_NS, FRAME_NS = 1_000_000_000, 20_000_000, 33_333_333
JPEG = simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8))


class Made(reader.Session):
    """Episodes of some seconds one after the other, as messages."""

    def __init__(self, build: Build) -> None:
        super().__init__(Path("here"))
        self._build, self._now, self._count = build, 100 * S, 0

    def jpeg(self, camera: str, number: int) -> bytes | None:
        return JPEG

    def add(self, kind: type[messages.Message], **fields: Any) -> None:
        self._count += 1
        message = self._build(kind, **({"seq": self._count, "stamp_ns": self._now} | fields))
        self.messages.append(reader.Logged(topic_of(message), codec.encode(message)))

    def episode(self, number: int, seconds: float, mode: str = "RUNNING", blind: range = range(0)) -> None:
        """`blind`: seconds of it in which the head camera shows nothing."""
        self.add(messages.Episode, number=number)
        self.add(messages.Instruction)
        begun = self._now
        for tick in range(round(seconds * S / TICK_NS)):
            self._now = begun + tick * TICK_NS
            still = np.zeros(messages.JOINTS)
            self.add(messages.JointState, episode=number, q=still)
            self.add(messages.ArmTarget, episode=number, mode=mode, q=still, deadline_ns=self._now, sent=True)
            for camera in CAMERAS:
                if not (camera == "head" and (self._now - begun) // S in blind):
                    self.add(messages.Frame, camera=camera, capture_ns=self._now)
        self._now += S


@pytest.fixture
def made(build: Build) -> Made:
    return Made(build)


def said(made: Made, capsys: pytest.CaptureFixture[str]) -> list[str]:
    episodes(made)
    return capsys.readouterr().out.splitlines()


def test_of_a_whole_run_nothing_is_left_out(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    made.episode(1, 4)
    assert said(made, capsys) == []


def test_episodes_without_a_run_are_named(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    made.episode(1, 2, mode="HOLD")
    made.episode(2, 4)
    assert said(made, capsys) == ["video2act: skipped: here episode 1: the arms never ran"]


@pytest.mark.parametrize(
    ("words", "success", "why"),
    [
        ([], None, ""),
        ([("scene", True)], True, ""),
        ([("scene", False)], False, "the task was not done"),
        ([("scene", True), ("scene", False)], True, ""),  # done at some moment
        ([("scene", False), ("outcome", "success")], True, ""),
        ([("scene", False), ("outcome", "ended")], False, "the task was not done"),
        ([("scene", True), ("outcome", "failure")], False, "judged a failure"),
    ],
)
def test_an_episode_whose_task_was_not_done_is_marked_and_told(
    words: list[tuple[str, Any]], success: bool | None, why: str, made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator's word counts more than the simulation's."""
    made.episode(1, 4)
    for kind, value in words:
        if kind == "scene":
            made.add(messages.Scene, episode=1, success=value)
        else:
            made.add(messages.Outcome, number=1, result=value)
    (found,) = episodes(made, failures=True)
    assert found.success is success
    expected = [f"video2act: exported as a failure: here episode 1: {why}"] if why else []
    assert capsys.readouterr().out.splitlines() == expected


def test_the_part_in_which_a_camera_missed_is_told(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    made.episode(1, 8, blind=range(2, 3))
    (line,) = said(made, capsys)
    assert line.startswith("video2act: skipped: here episode 1: 3.")
    assert line.endswith(" of its 8.0 s, in which the arms held or a camera failed")


def test_failures_and_discarded_demonstrations_are_told(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    made.episode(1, 3)
    made.add(messages.Outcome, number=1, result="failure")
    made.episode(2, 1, mode="DISARMED")
    made.add(messages.Demonstration, number=2, state="discarded")
    made.episode(3, 3)
    assert said(made, capsys) == [
        "video2act: skipped: here episode 1: judged a failure; --failures includes it",
        "video2act: skipped: here episode 2: the demonstration was discarded, not kept",
    ]


def test_where_nothing_is_left_the_best_reason_is_given(made: Made) -> None:
    made.episode(1, 1, mode="HOLD")
    with pytest.raises(ModelError, match="here: the arms never ran, and no demonstration was kept"):
        episodes(made)
    made.episode(2, 0.5)
    with pytest.raises(ModelError, match=r"episode 2: must have at least 32 steps, got 1"):
        episodes(made)


def test_a_session_that_lost_its_joints_or_the_order_of_its_times_is_no_traceback(made: Made, build: Build) -> None:
    made.episode(1, 4)
    whole = list(made.messages)
    made.messages[:] = [logged for logged in whole if logged.topic != "joint_state"]
    with pytest.raises(ModelError, match="here episode 1: no joint states are left"):
        episodes(made)
    for deadlines in ([5 * S, 4 * S], [S] * 40):
        made.messages[:] = [logged for logged in whole if logged.topic == "episode"]
        for place, deadline_ns in enumerate(deadlines):
            still = np.full(messages.JOINTS, float(place))
            made.add(messages.ArmTarget, episode=1, mode="RUNNING", q=still, deadline_ns=deadline_ns, sent=True)
        log = Log(made)
        assert [log.path(about) is None for about in log.episodes] == [len(deadlines) == 2]
