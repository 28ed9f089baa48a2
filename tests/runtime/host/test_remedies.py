"""What the operating system refused is one line with a remedy, at the command's edge too. Called by pytest."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import cli
from runtime.host import remedies


def test_a_line_has_file_cause_and_remedy() -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/a/b")
    assert remedies.line(error) == "/a/b: No space left on device; free disk space there"
    assert remedies.line(OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "/c").startswith("/c: Too many open files; ")
    assert remedies.line(OSError("two\nlines")) == "two"


def test_a_name_neither_fills_the_screen_nor_steers_it() -> None:
    said = remedies.line(OSError(errno.ENOENT, "No such file", "\x1b[2Ja" * 300))
    assert "\x1b" not in said and len(said) < 250


@pytest.mark.parametrize(
    "line",
    [
        ("replay", "x" * 300, "--lockstep"),
        ("trace", "x" * 300),
        ("export", "x" * 300, "--to", "hdf5", "--out", "OUT"),
        ("export", "SESSION", "--to", "hdf5", "--out", "x" * 300),
        ("console", "--sessions", "x" * 300, "--port", "0"),
        ("demos", "--tasks", "block_handover", "--out", "x" * 300),
        ("train", "video", "--data", "x" * 300, "--out", "OUT"),
    ],
)
def test_a_name_that_is_too_long_is_one_line(
    line: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["video2act", *(str(tmp_path / word) if word == "OUT" else word for word in line)])
    assert cli.main() in (1, 2)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and len(said[0]) < 600, said


def test_too_few_descriptors_are_named_before_anything_starts(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "runtime.cli", "robot", "--seconds", "1", "--sessions", str(tmp_path)]
    done = subprocess.run(
        ["bash", "-c", 'ulimit -n 64; exec "$@"', "bash", *program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "video2act: at most 64 files may be open at once (512 needed); raise it with ulimit -n 512, "
        "or LimitNOFILE=512 in the service"
    ]
    assert not list(tmp_path.iterdir()), "no folder of a session that never began"
