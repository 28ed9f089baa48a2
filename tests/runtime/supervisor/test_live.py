"""The real processes, started as a user starts them: a short run, a stopped System 2, the way out, and what is left behind.

Nothing here judges speed: a loaded machine may make these runs slow, not wrong.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_run import END_S, START_S, LiveRun

from drivers.cobot_magic import CAMERAS, WITHOUT_GRIPPERS
from models.data.demonstrations import find
from models.errors import ModelError
from runtime.messaging import messages
from runtime.session import export, reader
from runtime.session.episodes import Log, episodes

pytestmark = pytest.mark.live


def _table(run: LiveRun) -> dict[str, Any]:
    return json.loads(run.json.read_text())


def test_a_run_ends_by_itself_with_its_table(session: LiveRun) -> None:
    assert session.process.returncode == 0, session.log.read_text()
    table = _table(session)
    assert table["system1_runs"] > 20
    assert table["ratio_measured"] == pytest.approx(8, rel=0.05)
    assert table["not_replayable"] == 0
    assert table["faults"] == 0
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


def test_lockstep_replay_of_the_run_is_identical(session: LiveRun) -> None:
    replay = _replay(session.session, "--lockstep")
    assert replay.returncode == 0, replay.stdout + replay.stderr
    assert "identical, byte for byte" in replay.stdout


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
    with pytest.raises(ModelError, match=r"camera left_wrist has no picture at .* leave it out"):
        episodes(gapped)


def test_the_arms_follow_the_run_once_more(session: LiveRun, tmp_path: Path) -> None:
    """On the simulated robot: from where they stand to its beginning, along it and to a stand at its end; that replays too."""
    again = LiveRun(tmp_path, str(session.session), "--on-robot", command="replay")
    try:
        assert again.process.wait(START_S) == 0, again.log.read_text()
    finally:
        again.end(signal.SIGKILL)
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
    replay = _replay(again.session, "--lockstep")
    assert replay.returncode == 0, replay.stdout + replay.stderr


def test_a_changed_chunk_is_noticed_by_the_replay(session: LiveRun, tmp_path: Path) -> None:
    """The replay can fail: a session whose recorded chunk differs in one bit from what the step makes."""
    from runtime.replay.lockstep import replay

    recorded = reader.read(session.session)
    place = next(i for i, row in enumerate(recorded.messages) if row.topic == "chunk")
    chunk = recorded.messages[place].decode()
    assert isinstance(chunk, messages.ActionChunk)
    q = chunk.q.copy()
    q.view("uint32")[5, 3] ^= 1
    recorded.messages[place] = reader.Logged("chunk", messages.encode(chunk.model_copy(update={"q": q})))
    report = replay(recorded)
    assert report.count("ActionChunk").differing == 1
    assert not report.identical


def test_a_cut_session_is_replayed_as_far_as_it_goes(session: LiveRun, tmp_path: Path) -> None:
    data = (session.session / "session.mcap").read_bytes()
    cut = tmp_path / "session.mcap"
    cut.write_bytes(data[: len(data) * 2 // 3])
    replay = _replay(cut, "--lockstep")
    assert "the file ends early" in replay.stdout
    assert "Traceback" not in replay.stderr
    assert "ArmTarget" in replay.stdout


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


def test_a_flipped_bit_costs_one_chunk_and_is_said(session: LiveRun, tmp_path: Path) -> None:
    data = bytearray((session.session / "session.mcap").read_bytes())
    chunks = _chunks(data)
    first, last = chunks[len(chunks) // 2]
    data[(first + last) // 2] ^= 0x10
    broken = tmp_path / "session.mcap"
    broken.write_bytes(data)
    replay = _replay(broken, "--lockstep")
    assert replay.returncode == 1
    assert "1 damaged chunk(s)" in replay.stdout
    assert "Traceback" not in replay.stderr


def test_paced_replay_publishes_every_message(session: LiveRun) -> None:
    count = len(reader.read(session.session).messages)
    replay = _replay(session.session, "--paced", "--speed", "20")
    assert replay.returncode == 0, replay.stderr
    assert f"{count} messages published" in replay.stdout


def test_a_stopped_system2_holds_the_arms_and_a_fresh_condition_lets_them_run(tmp_path: Path) -> None:
    run = LiveRun(tmp_path, "--supervisor.restart_after_s", "60")
    try:
        run.wait_for("RUNNING", START_S)
        stopped = run.child("system2")
        os.kill(stopped, signal.SIGSTOP)
        run.wait_for("HOLD", 15)
        os.kill(stopped, signal.SIGCONT)
        run.wait_for("RUNNING", 15)
        assert run.child("system2") == stopped, "it resumed, it was not restarted"
        assert run.end(signal.SIGINT) == 0
    finally:
        run.end(signal.SIGKILL)
    arrived = [row.decode() for row in reader.read(run.session).messages if row.topic in ("safety", "chunk")]
    held = [m for m in arrived if isinstance(m, messages.SafetyState) and m.mode == "HOLD" and m.reasons]
    assert any("condition" in reason for state in held for reason in state.reasons)
    assert _table(run)["holds"] >= 1


def test_a_killed_system1_is_restarted_and_the_arms_run_again(tmp_path: Path) -> None:
    run = LiveRun(tmp_path)
    try:
        run.wait_for("RUNNING", START_S)
        os.kill(run.child("system1"), signal.SIGKILL)
        run.wait_for("HOLD", 15)
        run.wait_for("RUNNING", 60)
        assert run.end(signal.SIGTERM) == 0
    finally:
        run.end(signal.SIGKILL)
    epochs = {m.epoch for row in reader.read(run.session).messages if row.topic == "chunk" for m in [row.decode()]}
    assert epochs == {1, 2}


def test_space_holds_r_runs_and_q_ends(tmp_path: Path) -> None:
    run = LiveRun(tmp_path, keyboard=True)
    try:
        run.wait_for("RUNNING", START_S)
        run.press(b" ")
        run.wait_for("HOLD", 15)
        run.press(b"r")
        run.wait_for("RUNNING", 15)
        run.press(b"q")
        assert run.process.wait(END_S) == 0
    finally:
        run.end(signal.SIGKILL)
    commands = [row.decode() for row in reader.read(run.session).messages if row.topic == "order"]
    assert [m.order for m in commands if isinstance(m, messages.Order)] == ["hold", "clear", "arm", "run", "hold"]


def test_the_arms_brake_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    """Nobody is left to order it; what they did is in the session, and nobody stays behind."""
    run = LiveRun(tmp_path)
    try:
        run.wait_for("RUNNING", START_S)
        folder = run.folder
        run.end(signal.SIGKILL)
    finally:
        run.end(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while subprocess.run(["pgrep", "-f", f"runtime.process.base .* {folder}"], capture_output=True, check=False).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    arrived = [message for _, message, _ in reader.decode_all(reader.read(run.session))]
    assert [(m.order, m.source) for m in arrived if isinstance(m, messages.Order)] == [("hold", "the end of arms")]
    reported = [m for m in arrived if isinstance(m, messages.ArmTarget)]
    assert reported[-1].mode == "HOLD"
    assert np.abs(reported[-1].q - reported[-2].q).max() < 0.1 * 0.005, "rad a tick: they have almost come to rest"


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


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--ratio", "0"], "--ratio"),
        (["--task", "juggle"], "juggle"),
        (["--profile", "nowhere"], "nowhere"),
        (["--surprise", "1"], "surprise"),
        (["--safety.jump_rad", "nan"], "jump_rad"),
    ],
)
def test_a_bad_flag_is_one_line_and_status_2(flags: list[str], said: str) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "runtime.cli", "robot", *flags], capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode == 2
    assert said in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_folder_too_deep_for_sockets_is_one_line(session: LiveRun, tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 100)
    deep.mkdir()
    replay = _replay(session.session, "--paced", "--folder", str(deep))
    assert replay.returncode == 1
    assert "too long for sockets" in replay.stderr
    assert len(replay.stderr.splitlines()) == 1


def test_a_reader_that_goes_away_ends_a_replay_and_leaves_nothing(session: LiveRun) -> None:
    """`replay.sh ... --paced | head -1`."""
    command = [sys.executable, "-m", "runtime.cli", "replay", str(session.session), "--paced", "--speed", "20"]
    replay = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert replay.stdout is not None and replay.stderr is not None
    try:
        folder = Path(replay.stdout.readline().split()[-1])
        assert folder.is_dir()
        replay.stdout.close()
        assert replay.wait(60) == 128 + signal.SIGHUP
        assert replay.stderr.read() == ""
        assert not folder.exists()
    finally:
        replay.kill()
        replay.wait()
        replay.stderr.close()


def test_a_missing_session_is_one_line(tmp_path: Path) -> None:
    replay = _replay(tmp_path / "nowhere", "--lockstep")
    assert replay.returncode == 1
    assert "nowhere" in replay.stderr
    assert len(replay.stderr.splitlines()) == 1


def _replay(session: Path, *flags: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "runtime.cli", "replay", str(session), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
