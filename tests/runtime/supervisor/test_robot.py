"""What the robot command refuses, before any process is started. Called by pytest."""

import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from runtime import cli
from runtime.host import run_folder
from runtime.supervisor import end_table


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """The command has handlers of its own."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


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
def test_a_bad_flag_is_one_line_and_status_2(
    flags: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["video2act", "robot", *flags])
    with pytest.raises(SystemExit) as ended:
        sys.exit(cli.main())
    assert ended.value.code == 2
    reported = capsys.readouterr()
    assert said in reported.err and reported.out == ""
    assert len(reported.err.splitlines()) == 1


class Usage(NamedTuple):
    """The part of shutil.disk_usage that is asked for."""

    free: int


def test_full_shared_memory_is_one_line_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setattr(run_folder, "MEMORY_FOLDER", shared)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(20_000_000))
    monkeypatch.setattr(sys, "argv", ["video2act", "robot", "--sessions", str(tmp_path / "sessions")])
    assert cli.main() == 1
    assert "19 MiB free, a run needs " in capsys.readouterr().err
    assert not list(shared.iterdir()) and not (tmp_path / "sessions").exists()


def test_a_full_disk_takes_the_table_and_not_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "table.json").symlink_to("/dev/full")
    end_table.write(tmp_path / "table.json", {"a": 1})
    said = capsys.readouterr().out
    assert said == f"video2act: not written: {tmp_path}/table.json: No space left on device; free disk space there\n"
