"""`operator.sh`: which run it talks to, what it says and returns; the arms' answers come over a real bus. Called by pytest."""

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.errors import RuntimeFault, SettingsError
from runtime.host import run_folder
from runtime.host.run_folder import RUN_PREFIX, MemoryFolder
from runtime.messaging import messages, socket_topic
from runtime.messaging.bus import Bus
from runtime.process.processes import PROCESSES
from runtime.supervisor import operator, run_client


class Arms:
    """A stand-in at the other end of the bus: answers each order, or stays silent."""

    def __init__(self, folder: Path, answer: str | None, undone: str = "") -> None:
        """`undone`: told after the answer, of a command that an arm does not show."""
        self._undone = undone
        self.heard: list[messages.OperatorCommand] = []
        self.folder = folder
        self._bus = Bus(folder, "arms", PROCESSES)
        self._states, self._commands = self._bus.publisher("safety"), self._bus.subscriber("operator_command")
        self._answer, self._ended = answer, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._bus.wait(0.02)
            for received in self._commands.take():
                assert isinstance(received.message, messages.OperatorCommand)
                self.heard.append(received.message)
                if self._answer is not None:
                    self._states.send(self._state(received.message))
                if self._undone:
                    time.sleep(0.1)  # as long as an arm is given
                    self._states.send(self._state(received.message, self._undone))

    def _state(self, message: messages.OperatorCommand, *undone: str) -> messages.SafetyState:
        nothing = dict.fromkeys(
            (
                "since_ns", "chunk_age_ns", "condition_age_ns", "feedback_age_ns", "holds", "faults", "chunks_dropped",
                "chunks_rejected", "ticks", "running_ticks", "episode",
            ),
            0,
        )  # fmt: skip
        return messages.SafetyState(
            seq=0, epoch=1, stamp_ns=time.monotonic_ns(), mode="HOLD",
            reasons=(*undone, "waiting for the operator; send `run`"),
            answered=(message.epoch, message.seq), answer=self._answer or "", **nothing,
        )  # fmt: skip

    def close(self) -> None:
        self._ended.set()
        self._thread.join(5)
        self._bus.close()


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where runs are looked for; its path is short, since a socket's must stay below 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="v2a-") as made:
        monkeypatch.setattr(run_folder, "MEMORY_FOLDER", Path(made))
        yield Path(made)


@pytest.fixture
def folder(state: Path) -> Iterator[Path]:
    """Of a run whose supervisor is this process."""
    with MemoryFolder(f"{RUN_PREFIX}{os.getpid()}-") as made:
        assert made.parent == state
        yield made


@pytest.fixture
def arms(folder: Path) -> Iterator[Arms]:
    made = Arms(folder, "")
    yield made
    made.close()


def test_an_order_is_given_and_its_answer_told(arms: Arms, capsys: pytest.CaptureFixture[str]) -> None:
    assert operator.main(["rest"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "rest: accepted; mode HOLD; waiting for the operator; send `run`"
    assert said[1].startswith("video2act: next, to cut their power once they are at rest: ") and said[1].endswith(
        "operator.sh release"
    )
    assert {(message.command, message.confirmed) for message in arms.heard} == {("rest", False)}


def test_a_refused_order_is_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arms = Arms(folder, "the arms are not in their rest pose")
    try:
        assert operator.main(["release", "--confirm"]) == 1
    finally:
        arms.close()
    assert capsys.readouterr().out.startswith("release: refused: the arms are not in their rest pose; mode HOLD")
    assert all(message.confirmed for message in arms.heard)


@pytest.mark.parametrize("command", ["stop", "release", "clear"])
def test_what_an_arm_does_not_show_is_told_and_is_an_error(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    undone = f"left arm: `{command}` not carried out: the arm does not report it; support the arm"
    arms = Arms(folder, "", undone)
    try:
        assert operator.main([command, "--confirm"]) == 1
    finally:
        arms.close()
    assert capsys.readouterr().out.splitlines() == [
        f"{command}: accepted; mode HOLD; waiting for the operator; send `run`",
        f"{command}: {undone}",
    ]


WAITING = "waiting for the operator; send `run`"
BY_A_STOP = "stopped by an operator: the arms sink; support them, then send `clear` and confirm it"


@pytest.mark.parametrize(
    ("command", "answer", "said"),
    [
        ("run", WAITING, [f"run: refused: {WAITING}; mode HOLD"]),
        ("arm", BY_A_STOP, [f"arm: refused: {BY_A_STOP}; mode HOLD; {WAITING}", "operator.sh clear --confirm"]),
        (
            "stop", "support the arms, then send `stop` again and confirm it; `hold` keeps them",
            ["mode HOLD", "operator.sh stop --confirm"],
        ),
    ],
)  # fmt: skip
def test_a_refusal_is_said_once_and_how_to_confirm(
    folder: Path, command: str, answer: str, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arms = Arms(folder, answer)
    try:
        assert operator.main([command]) == 1
    finally:
        arms.close()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(said) and all(part in line for part, line in zip(said, lines, strict=True))
    assert sum(line.count(answer) for line in lines) == 1


def test_arms_that_do_not_answer_are_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_client, "_GIVE_UP_S", 0.3)
    with pytest.raises(RuntimeFault, match="stop: no answer from the arms process"):
        operator.main(["stop", "--confirm"])


def test_which_run_is_meant(folder: Path, state: Path) -> None:
    assert run_client.run_folder(None) == folder
    (state / "video2act-replay-abc").mkdir()
    (state / "video2act-999999999-gone").mkdir()
    assert run_client.run_folder(None) == folder
    with MemoryFolder(f"{RUN_PREFIX}1-"):
        with pytest.raises(RuntimeFault, match=f"give --run with one of 1, {os.getpid()}"):
            run_client.run_folder(None)
        assert run_client.run_folder(os.getpid()) == folder
    with pytest.raises(RuntimeFault, match=r"no robot is running as process 77; start one with \./launch/robot\.sh"):
        run_client.run_folder(77)


@pytest.mark.parametrize("name", ["video2act-1-x", "video2act-1-", "video2act-x-1", "video2act-1x-y"])
def test_a_folder_that_anybody_made_stops_no_hold(arms: Arms, state: Path, name: str) -> None:
    """Of a number whose process lives, with a lock that nobody holds: it is no run."""
    (state / name).mkdir()
    (state / name / "alive").touch()
    (state / "video2act-2-linked").symlink_to(arms.folder)
    assert operator.main(["hold"]) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_another_users_run_is_neither_commanded_nor_in_the_way(folder: Path, state: Path) -> None:
    with MemoryFolder(f"{RUN_PREFIX}1-") as theirs:
        os.chown(theirs, 65534, 65534)
        assert run_client.run_folder(None) == folder
        with pytest.raises(
            RuntimeFault, match=r"no robot is running as process 1; .* run this as that user \(sudo -u nobody"
        ):
            run_client.run_folder(1)
        os.chown(theirs, 0, 0)


def test_somebody_elses_run_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_topic, "endpoint", lambda *_: "ipc:///nowhere/at/all")
    with pytest.raises(RuntimeFault, match=f"{folder}: cannot be opened .* as the user of the run"):
        operator.main(["hold"])


def test_an_unknown_order_is_one_line(folder: Path) -> None:
    with pytest.raises(SettingsError, match="COMMAND dance: must be one of arm, run, takeover, hold"):
        operator.main(["dance"])
