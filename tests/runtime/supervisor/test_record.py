"""Teleoperation with four arms: emulated leaders lead emulated followers over two buses, the real SDK listens, and what was
recorded comes back out of an HDF5 file. Called by pytest; a live run."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_run import END_S, START_S, LiveRun

from drivers.cobot_magic import ready_pose
from models.data.demonstrations import find
from runtime.config.loading import load_settings
from runtime.config.settings import Settings
from runtime.devices import leader_emulator
from runtime.doctor import rows as doctor
from runtime.doctor.table import Row
from runtime.errors import SettingsError
from runtime.messaging import messages
from runtime.messaging.bus import Bus
from runtime.process.role import Role
from runtime.session import export, reader
from runtime.supervisor import record, robot

Build = Callable[..., Any]
OpenBus = Callable[[str], Bus]
TASK = "dual_bottles_pick_easy"
SECONDS, SHORT_S = 3.0, 2.0


def begin_take(made: LiveRun) -> None:
    """As a person does: again, where it was refused since the arms had not yet come back to their leaders."""
    for _ in range(3):
        made.press(b"s")
        with suppress(AssertionError):
            return made.wait_for("recording", 5)
    raise AssertionError(made.log.read_text())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LiveRun:
    """One demonstration kept, one discarded, one under way when it ends."""
    folder = tmp_path_factory.mktemp("record")
    with LiveRun(folder, "--task", TASK, "--seed", "5", keyboard=True, command="record") as made:
        made.wait_for("video2act: starting", START_S)
        made.press(b"s")  # too early: there is no picture yet
        made.wait_for("ready 1 | kept 0 discarded 0 | the leaders lead", START_S)
        for decide, then in ((b"k", "ready 2 | kept 1 discarded 0"), (b"d", "ready 3 | kept 1 discarded 1")):
            begin_take(made)
            time.sleep(SECONDS)
            made.press(b"s" + decide)
            made.wait_for(f"{then} | the leaders lead", 15)  # the emulated hands go back at once, the arms follow
        answer = made.command("arm")
        assert "the leaders lead it" in answer and "arming blocked" in answer
        made.press(b"b")
        time.sleep(SHORT_S)
        made.press(b"q")
        assert made.process.wait(END_S) == 0
    return made


def states(run: LiveRun) -> list[tuple[int, str]]:
    """What became of the demonstrations, in order."""
    rows = [m for _, m, _ in reader.decode_all(reader.read(run.session)) if isinstance(m, messages.Demonstration)]
    return list(dict.fromkeys((row.number, row.state) for row in rows))


@pytest.mark.live
def test_what_became_of_each_is_in_the_session(run: LiveRun) -> None:
    decided = [
        (n, state) for n, end in ((1, "kept"), (2, "discarded")) for state in ("ready", "recording", "stopped", end)
    ]
    wanted = [*decided, (3, "ready"), (3, "recording"), (3, "kept")]
    assert states(run) == wanted
    assert json.loads(run.json.read_text()) == {"kept": 2, "discarded": 1}


@pytest.mark.live
def test_the_screen_says_who_leads(run: LiveRun) -> None:
    said = run.log.read_text()
    assert "the leaders lead the arms; the safety layer only monitors" in said
    assert "cannot start: the recorder is starting; wait" in said, "the key came too early"
    assert "export.sh" in said.splitlines()[-1]


@pytest.mark.live
def test_nothing_was_sent_to_the_arms_but_by_the_masters(run: LiveRun) -> None:
    """The followers heard the leaders, joint for joint; the safety layer sent nothing and stayed disarmed."""
    arrived = [m for _, m, _ in reader.decode_all(reader.read(run.session))]
    assert not any(m.sent or m.mode != "DISARMED" for m in arrived if isinstance(m, messages.ArmTarget))
    led = np.array([m.q for m in arrived if isinstance(m, messages.LeaderState)])
    with np.load(run.session / "logs" / "heard_left.npz") as record:
        heard = np.frombuffer(record["joints"].tobytes(), ">i4").reshape(-1, 6)
    said = {row.tobytes() for row in heard}
    recorded = np.round(led[:, :6] * 180_000 / np.pi).astype(">i4")
    assert all(row.tobytes() in said for row in recorded)
    assert len(np.unique(recorded, axis=0)) > 50


@pytest.mark.live
def test_the_demonstrations_come_back_from_hdf5(
    run: LiveRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One in which this machine stalled and a camera lacked pictures is left out, and said."""
    assert export.main([str(run.session), "--to", "hdf5", "--out", str(tmp_path)]) == 0
    found = [demonstration.read() for demonstration in find(tmp_path)]
    said = [line for line in capsys.readouterr().out.splitlines() if "skipped: " in line]
    discarded = [line for line in said if "the demonstration was discarded, not kept" in line]
    assert len(discarded) == 1
    left_out = [line for line in said if line not in discarded]
    assert len(found) + len(left_out) == 2 and len(set(left_out)) == len(left_out), "each is said once"
    first = found[0]
    assert first.task == TASK and first.seed in (5, 7)
    kept = [
        (m.ended_ns - m.began_ns) / 1e9
        for _, m, _ in reader.decode_all(reader.read(run.session))
        if isinstance(m, messages.Demonstration) and m.state == "kept"
    ]
    assert len(first) == pytest.approx(kept[0 if first.seed == 5 else -1] * 30, abs=2)
    moved = np.abs(first.q - first.q[0]).max(axis=0)
    assert moved[:6].max() > 0.3 and moved[7:13].max() > 0.3, "both arms are led"
    late = np.abs(first.q[3:] - first.leader[:-3])[:, [0, 1, 2, 7, 8, 9]]
    assert np.median(late) < 0.02, "the followers follow their leaders"
    log = reader.read(run.session)
    reported = {
        m.q.astype("float32").tobytes() for _, m, _ in reader.decode_all(log) if isinstance(m, messages.LeaderState)
    }
    assert all(row.tobytes() in reported for row in first.leader)


def test_nothing_is_recorded_before_the_recorder_heard_how_it_stands(bus: OpenBus, settings: Settings) -> None:
    """Else the session would begin in the middle of the first demonstration."""
    status = record.RecordingStatus(bus("supervisor"), settings)
    assert status.unfit() == "the recorder is starting; wait a second, then press s again"
    status.heard = True
    assert status.unfit().startswith("no leader feedback")


def test_the_emulated_teacher_waits_leads_and_stops(build: Build) -> None:
    targets = np.linspace(0, 1, 31)[:, None] * np.ones(14)
    begun = 5_000_000_000
    ready = build(messages.Demonstration, state="ready", began_ns=0)
    recording = build(messages.Demonstration, state="recording", began_ns=begun)
    stopped = build(messages.Demonstration, state="stopped", began_ns=begun, ended_ns=begun + 800_000_000)
    assert leader_emulator.led(targets, ready, begun + 900_000_000)[0] == 0
    assert leader_emulator.led(targets, recording, begun + 200_000_000)[0] == 0
    assert leader_emulator.led(targets, recording, begun + 800_000_000)[0] == pytest.approx(0.5)
    assert leader_emulator.led(targets, recording, begun + 9_000_000_000)[0] == 1
    assert leader_emulator.led(targets, stopped, begun + 9_000_000_000)[0] == pytest.approx(0.5)
    assert len(ready_pose()) == 14


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--task", "juggle"], "juggle"),
        (["--profile", "cobot_magic", "--task", "fold_a_shirt"], "add --instruction TEXT"),
    ],
)
def test_a_bad_flag_is_one_line(flags: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        record.main(flags)


def test_a_policy_does_not_run_with_the_masters_plugged_in() -> None:
    with pytest.raises(SettingsError, match="unplug the leaders"):
        robot.main(["--arms.leaders", "shared"])


@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_what_the_doctor_finds_does_not_make_led_arms_fit(verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a real robot the checks come after the command has forbidden to arm."""
    settings = load_settings([])
    arms = settings.arms.model_copy(update={"kind": "piper"})
    rows: list[Any] = [Row("bus left", "pass" if verdict == "pass" else "fail", "as found", "plug it in")]
    monkeypatch.setattr(doctor, "examine", lambda _settings, role: rows)
    unfit = robot.examined(settings.model_copy(update={"arms": arms}), Role(unfit="the leaders lead")).unfit
    assert "the leaders lead" in unfit
    assert ("preflight failed: " in unfit and "bus left: as found (plug it in); fix it, check" in unfit) == (
        verdict == "fail"
    )


def test_a_demonstration_is_named_on_a_robot() -> None:
    with pytest.raises(SettingsError, match="--task is missing; give --task NAME"):
        record.main(["--profile", "cobot_magic"])
