"""The real processes, started as a user starts them: a short run, a stopped System 2, the way out, and what is left behind.

Nothing here judges speed: a loaded machine may make these runs slow, not wrong.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_run import END_S, START_S, LiveRun

from drivers.cobot_magic import CAMERAS, WITHOUT_GRIPPERS
from models.data.demonstrations import find
from models.errors import ModelError
from runtime.messaging import codec, messages
from runtime.replay import command as replay_command
from runtime.session import export, reader
from runtime.session.episodes import Log, episodes

pytestmark = pytest.mark.live
STEP = "tests/runtime/arms/test_step.py"
WAIT_S = 15.0  # for a line of the status, of which there is one a second


def _table(run: LiveRun) -> dict[str, Any]:
    return json.loads(run.json.read_text())


@pytest.mark.real_time(
    decided_by="tests/runtime/evaluation/test_evaluation.py::test_the_ratio_is_that_of_runs_to_conditions"
)
def test_a_run_ends_by_itself_with_its_table(session: LiveRun) -> None:
    assert session.process.returncode == 0, session.log.read_text()
    table = _table(session)
    assert table["system1_runs"] > 20
    assert table["ratio_measured"] == pytest.approx(8, rel=0.05)
    assert table["not_replayable"] == 0
    assert table["fault_reports"] == 0
    assert min(table["arm_path_rad"]) > 0.05
    assert set(table["camera_fps"]) == set(CAMERAS)


def test_the_session_holds_a_picture_of_each_camera(session: LiveRun) -> None:
    for camera in CAMERAS:
        assert (session.session / f"{camera}.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_is_left_behind(session: LiveRun) -> None:
    """Only what belongs to this run counts: another robot may run beside the tests."""
    name = f"video2act-{session.process.pid}-"
    assert not list(Path("/dev/shm").glob(f"{name}*"))
    left = subprocess.run(
        ["pgrep", "-f", f"runtime.process.base .*{name}"], capture_output=True, text=True, check=False
    )
    assert left.stdout == ""


def test_lockstep_replay_of_the_run_is_identical(session: LiveRun, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = _lockstep(session.session, capsys)
    assert status == 0, said
    assert "identical, byte for byte" in said


def test_the_session_knows_by_what_it_was_computed(session: LiveRun) -> None:
    attached = reader.read(session.session).attachments
    for name in ("system1", "system2"):
        made = json.loads(attached[f"{name}.arithmetic.json"])
        assert made["engine"] == "onnx" and made["device"] and made["version"]


@pytest.mark.parametrize("to", ["hdf5", "lerobot"])
def test_the_run_can_be_exported_as_a_demonstration(session: LiveRun, tmp_path: Path, to: str) -> None:
    assert export.main([str(session.session), "--to", to, "--out", str(tmp_path / "out")]) == 0
    (found,) = find(tmp_path / "out")
    episode, log = found.read(), reader.read(session.session)
    assert episode.task == "block_handover"
    logged = {log.jpeg(m.camera, m.seq) for _, m, _ in reader.decode_all(log) if isinstance(m, messages.Frame)}
    assert all(jpeg in logged for jpegs in episode.jpegs.values() for jpeg in jpegs)
    measured: dict[bytes, list[int]] = {}
    reported: dict[bytes, list[int]] = {}
    for _, message, _ in reader.decode_all(log):
        if isinstance(message, messages.JointState):
            measured.setdefault(message.q.astype("float32").tobytes(), []).append(message.stamp_ns)
        elif isinstance(message, messages.ArmTarget):
            reported.setdefault(message.q.astype("float32").tobytes(), []).append(message.deadline_ns)
    pairs = [
        (measured[q.tobytes()], reported[leader.tobytes()]) for q, leader in zip(episode.q, episode.leader, strict=True)
    ]
    ahead_ns = [min((d - m for m in at for d in due), key=lambda ns: abs(ns - 1e9 / 30)) for at, due in pairs]
    assert np.median(ahead_ns) == pytest.approx(1e9 / 30, abs=10e6), "what was told for the next step, of 30 a second"
    assert max(abs(ns - 1e9 / 30) for ns in ahead_ns) < 0.2e9, "nowhere more than a stalled machine's gap from it"


@pytest.mark.parametrize("missed_ms", [300, 500])
def test_of_a_run_that_a_camera_missed_for_a_while_the_longer_part_is_exported(
    session: LiveRun, missed_ms: int
) -> None:
    whole, gapped = reader.read(session.session), reader.read(session.session)
    (episode,) = episodes(whole)
    (times,) = [m.times_ns for m in map(Log(whole).movement, Log(whole).episodes) if m is not None]
    blind_ns = range(times[len(times) // 3], times[len(times) // 3] + missed_ms * 1_000_000)
    kept = [(row, row.decode()) for row in gapped.messages]
    gapped.messages[:] = [
        row
        for row, m in kept
        if not (isinstance(m, messages.Frame) and m.camera == "head" and m.capture_ns in blind_ns)
    ]
    (part,) = episodes(gapped)
    assert len(part) == pytest.approx(sum(time > blind_ns.stop for time in times), abs=3)
    assert np.abs(part.q[-1] - episode.q[-1]).max() < 0.05, (
        "rad: up to the same end, not by the same thirtieths of a second"
    )
    gapped.messages[:] = [row for row, m in kept if not (isinstance(m, messages.Frame) and m.camera == "left_wrist")]
    with pytest.raises(ModelError, match=r"camera left_wrist has no frame at .* give another session"):
        episodes(gapped)


@pytest.mark.real_time(
    decided_by="tests/runtime/replay/test_tracker.py::test_chunks_agree_on_the_way_and_end_at_its_end"
)
def test_the_arms_follow_the_run_once_more(
    session: LiveRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the simulated robot: from where they stand to its beginning, along it and to a stand at its end; that replays too."""
    with LiveRun(tmp_path, str(session.session), "--on-robot", command="replay") as again:
        assert again.process.wait(START_S) == 0, again.log.read_text()
    log = reader.read(session.session)
    recorded = Log(log)
    path = recorded.path(recorded.episodes[0])
    assert path is not None
    way, reported = path
    arrived = [message for _, message, _ in reader.decode_all(reader.read(again.session))]
    sent = np.array([m.q for m in arrived if isinstance(m, messages.ArmTarget)])
    assert np.abs(sent[-1] - way[-1])[WITHOUT_GRIPPERS].max() < 0.02
    nearest = [np.abs(sent - step)[:, WITHOUT_GRIPPERS].max(axis=1).min() for step in way]
    assert max(nearest) < 0.05, "rad: they come by every step of it"
    assert {m.text for m in arrived if isinstance(m, messages.Instruction)} == {reported}
    assert not [m for m in arrived if isinstance(m, messages.Conditions)]
    status, said = _lockstep(again.session, capsys)
    assert status == 0, said


def test_a_changed_chunk_is_noticed_by_the_replay(session: LiveRun, tmp_path: Path) -> None:
    """The replay can fail: a session whose recorded chunk differs in one bit from what the step makes."""
    from runtime.replay.lockstep import replay

    recorded = reader.read(session.session)
    place = next(i for i, row in enumerate(recorded.messages) if row.topic == "chunk")
    chunk = recorded.messages[place].decode()
    assert isinstance(chunk, messages.ActionChunk)
    q = chunk.q.copy()
    q.view("uint32")[5, 3] ^= 1
    recorded.messages[place] = reader.Logged("chunk", codec.encode(chunk.model_copy(update={"q": q})))
    report = replay(recorded)
    assert report.count("ActionChunk").differing == 1
    assert not report.identical


def test_a_cut_session_is_replayed_as_far_as_it_goes(
    session: LiveRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = (session.session / "session.mcap").read_bytes()
    cut = tmp_path / "session.mcap"
    cut.write_bytes(data[: len(data) * 2 // 3])
    _, said = _lockstep(cut, capsys)
    assert "the file ends early" in said
    assert "ArmTarget" in said


def _chunks(data: bytearray) -> list[tuple[int, int]]:
    """Where each chunk's record begins and ends: opcode 6, then eight bytes of length (MCAP, after eight bytes of magic)."""
    found: list[tuple[int, int]] = []
    place = 8
    while place + 9 <= len(data) - 8:
        end = place + 9 + int.from_bytes(data[place + 1 : place + 9], "little")
        if data[place] == 6:
            found.append((place + 9, end))
        place = end
    return found


def test_a_flipped_bit_costs_one_chunk_and_is_said(
    session: LiveRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray((session.session / "session.mcap").read_bytes())
    chunks = _chunks(data)
    first, last = chunks[len(chunks) // 2]
    data[(first + last) // 2] ^= 0x10
    broken = tmp_path / "session.mcap"
    broken.write_bytes(data)
    status, said = _lockstep(broken, capsys)
    assert status == 1
    assert "1 damaged chunk(s)" in said


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRun]:
    """A robot that the next tests disturb one after the other; each leaves it running, until one kills its supervisor."""
    flags = ("--supervisor.restart_after_s", "60", "--ratio", "2", "--safety.max_condition_age_s", "5")
    with LiveRun(tmp_path_factory.mktemp("disturbed"), *flags, keyboard=True) as run:
        run.wait_for("RUNNING", START_S)
        yield run


@pytest.mark.real_time(decided_by=f"{STEP}::test_an_old_condition_holds_although_chunks_go_on")
def test_a_stopped_system2_holds_the_arms_and_a_fresh_condition_lets_them_run(robot: LiveRun) -> None:
    stopped = robot.child("system2")
    os.kill(stopped, signal.SIGSTOP)
    robot.wait_for("HOLD", WAIT_S)
    os.kill(stopped, signal.SIGCONT)
    robot.wait_for("RUNNING", WAIT_S)
    assert robot.child("system2") == stopped, "it resumed, it was not restarted"


@pytest.mark.real_time(decided_by=f"{STEP}::test_a_lost_system1_holds_at_once")
def test_a_killed_system1_is_restarted_and_the_arms_run_again(robot: LiveRun) -> None:
    killed = robot.child("system1")
    os.kill(killed, signal.SIGKILL)
    robot.wait_for("HOLD", WAIT_S)
    robot.wait_for("RUNNING", 60)
    assert robot.child("system1") != killed


@pytest.mark.real_time(decided_by=f"{STEP}::test_an_operators_hold_is_latched_until_run")
def test_space_holds_and_r_runs(robot: LiveRun) -> None:
    robot.press(b" ")
    robot.wait_for("HOLD", WAIT_S)
    assert "held by the operator" in robot.log.read_text(), "for no other reason"
    robot.press(b"r")
    robot.wait_for("RUNNING", WAIT_S)


def test_the_arms_brake_when_the_supervisor_is_killed(robot: LiveRun) -> None:
    """Nobody is left to order it; what they did is in the session, and nobody stays behind."""
    robot.wait_for("RUNNING", WAIT_S)
    folder = robot.folder
    robot.end(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while subprocess.run(["pgrep", "-f", f"runtime.process.base .* {folder}"], capture_output=True, check=False).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    arrived = [message for _, message, _ in reader.decode_all(reader.read(robot.session))]
    commands = [(m.command, m.source) for m in arrived if isinstance(m, messages.OperatorCommand)]
    assert commands[-1] == ("hold", "shutdown of arms")
    reported = [m for m in arrived if isinstance(m, messages.ArmTarget)]
    assert reported[-1].mode == "HOLD"
    assert np.abs(reported[-1].q - reported[-2].q).max() < 0.1 * 0.005, "rad a tick: they have almost come to rest"


def test_what_disturbed_it_is_in_the_session(robot: LiveRun) -> None:
    """Why it held, both lives of System 1, and the keys as orders."""
    arrived = [message for _, message, _ in reader.decode_all(reader.read(robot.session))]
    states = [m for m in arrived if isinstance(m, messages.SafetyState)]
    held = [state for state in states if state.mode == "HOLD" and state.reasons]
    assert any("condition" in reason for state in held for reason in state.reasons)
    assert max(state.holds for state in states) >= 2
    assert {m.epoch for m in arrived if isinstance(m, messages.ActionChunk)} == {1, 2}
    commands = [m.command for m in arrived if isinstance(m, messages.OperatorCommand)]
    assert commands == ["hold", "clear", "arm", "run", "hold"]


def test_a_reader_that_goes_away_ends_the_robot_in_order(tmp_path: Path) -> None:
    """`robot.sh | head`, or a lost connection."""
    command = [sys.executable, "-m", "runtime.cli", "robot", "--sessions", str(tmp_path / "sessions")]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert run.stdout is not None and run.stderr is not None
    try:
        run.stdout.readline()
        run.stdout.close()
        assert run.wait(END_S) == 0
        assert b"Traceback" not in run.stderr.read()
    finally:
        run.kill()
        run.wait()
        run.stderr.close()
    assert not list(Path("/dev/shm").glob(f"video2act-{run.pid}-*"))


def _lockstep(session: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Status and output of a replay."""
    capsys.readouterr()
    return replay_command.main([str(session), "--lockstep"]), capsys.readouterr().out
