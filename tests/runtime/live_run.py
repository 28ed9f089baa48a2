"""A real run, started as a user starts it, for the tests that need one."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from runtime import outside

START_S = 90.0
"""Longest wait for a run to move its arms, and `END_S` for it to end."""
END_S = 20.0


class LiveRun:
    """`robot.sh --profile sim` in a folder of its own, its output read line by line."""

    def __init__(self, folder: Path, *flags: str, keyboard: int = subprocess.DEVNULL, command: str = "robot") -> None:
        self.json = folder / "table.json"
        self.log = folder / "output.txt"
        line = [
            sys.executable,
            "-m",
            "runtime.cli",
            command,
            "--profile",
            "sim",
            "--sessions",
            str(folder / "sessions"),
        ]
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                [*line, "--json", str(self.json), *flags], stdout=output, stderr=output, stdin=keyboard
            )

    @property
    def session(self) -> Path:
        """The session's folder."""
        return next((self.log.parent / "sessions").iterdir())

    def wait_for(self, text: str, timeout_s: float) -> None:
        """Wait until a line of the output begins with `text`, after those seen before."""
        seen = len(self.log.read_text().splitlines())
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if any(line.startswith(text) for line in self.log.read_text().splitlines()[seen:]):
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(f"no {text!r} within {timeout_s} s:\n{self.log.read_text()}")

    def child(self, name: str) -> int:
        """The process id of one of its processes."""
        return outside.child(self.folder, name)

    @property
    def folder(self) -> Path:
        """The run's folder in shared memory."""
        return outside.run_folder(self.process.pid)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(END_S)
