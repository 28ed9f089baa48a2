"""The replay command on a recorded session, without a robot: what it refuses, and paced replay. Called by pytest."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from golden_sessions import copied

from runtime.errors import RuntimeFault, SettingsError
from runtime.replay import command
from runtime.session import reader


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A session of two seconds in a folder of its own."""
    return copied(tmp_path / "session")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "a setting is missing; give --ratio N"),
        (("--cameras.max_frame_age_s", "1"), "--cameras.max_frame_age_s cannot be changed after the run"),
        (("--ratio", "0"), "ratio"),
        (("--ratio",), "ratio"),
        (("--trajectory.blend", "glue"), "trajectory.blend"),
        (("--policy.checkpoint", "/nowhere"), "/nowhere"),
    ],
)
def test_what_cannot_be_asked_is_one_line(flags: tuple[str, ...], said: str, session: Path, tmp_path: Path) -> None:
    with pytest.raises((SettingsError, RuntimeFault), match=said) as caught:
        command.main([str(session), "--what-if", "--out", str(tmp_path / "made"), *flags])
    assert "\n" not in str(caught.value) and not (tmp_path / "made").exists()


def test_a_session_is_not_written_over(session: Path) -> None:
    with pytest.raises(SettingsError, match="already exists"):
        command.main([str(session), "--what-if", "--out", str(session), "--ratio", "2"])


def test_a_missing_session_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFault, match="nowhere") as caught:
        command.main([str(tmp_path / "nowhere"), "--lockstep"])
    assert "\n" not in str(caught.value)


def test_a_folder_too_deep_for_sockets_is_one_line(session: Path, tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 100)
    deep.mkdir()
    with pytest.raises(RuntimeFault, match="too long for a socket") as caught:
        command.main([str(session), "--paced", "--folder", str(deep)])
    assert "\n" not in str(caught.value)


def test_paced_replay_publishes_every_message(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    count = len(reader.read(session).messages)
    assert command.main([str(session), "--paced", "--speed", "20"]) == 0
    assert f"{count} messages published" in capsys.readouterr().out


def test_a_reader_that_goes_away_ends_a_replay_and_leaves_nothing(session: Path) -> None:
    """`replay.sh ... --paced | head -1`: at once, not when the session would have ended."""
    line = [sys.executable, "-m", "runtime.cli", "replay", str(session), "--paced", "--speed", "0.1"]  # ten minutes
    replay = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
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
