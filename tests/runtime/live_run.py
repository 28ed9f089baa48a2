"""A real run, started as a user starts it, for the tests that need one."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import machine_need
import tiny_checkpoint

from drivers.cobot_magic import CAMERAS
from runtime.host.run_folder import MEMORY_FOLDER, RUN_PREFIX
from runtime.messaging import messages
from runtime.supervisor import run_client

START_S = 180.0
"""Longest wait for a run to move its arms, and `END_S` for it to end."""
END_S = 20.0
# A policy of a few thousand weights, fewer and smaller pictures, fewer runs of System 1, and more patience with a machine
# that stalls: what is tested does not depend on them.
_LIGHT = {
    "--supervisor.start_timeout_s": str(START_S),
    "--system1.period_s": "0.3",
    **tiny_checkpoint.PICTURES,
    **{f"--cameras.{camera}.rate_hz": "15" for camera in CAMERAS},
    "--cameras.max_frame_age_s": "2",
    "--cameras.max_lag_s": "2",
    "--cameras.max_skew_s": "1",
    "--safety.max_chunk_age_s": "3",
    "--safety.max_condition_age_s": "20",
    "--safety.max_feedback_age_s": "1",
    "--safety.max_health_age_s": "2",
    "--safety.max_supervision_age_s": "4",
}
LIGHTEST = ("--system1.period_s", "1", *(word for camera in CAMERAS for word in (f"--cameras.{camera}.rate_hz", "6")))
"""For runs with CAN buses, each of which takes a fifth of a processor."""
_CONNECTED_S = 1.0  # the recorder too: what it does not hear cannot be replayed
STARTED: list["LiveRun"] = []
"""Every run of these tests, in order."""


class LiveRun:
    """`robot.sh --profile sim` in a folder of its own, its output read line by line."""

    def __init__(
        self, folder: Path, *flags: str, keyboard: bool = False, command: str = "robot", console: bool = False
    ) -> None:
        """`keyboard`: it has a terminal, into which `press` types. `console`: its page is served (loading it costs seconds)."""
        self.json = folder / "table.json"
        self.log = folder / "output.txt"
        own = ["--profile", "sim", "--sessions", str(folder / "sessions"), "--json", str(self.json)]
        page = "--console.enabled" if console else "--no-console.enabled"
        light = [word for flag, value in _LIGHT.items() if flag not in flags for word in (flag, value)]
        self.environment = dict(os.environ)
        if command == "robot" and not {"--policy.server", "--policy.checkpoint"} & {*flags}:
            light += ["--policy.checkpoint", str(tiny_checkpoint.policy())]
            self.environment["XDG_CACHE_HOME"] = str(tiny_checkpoint.caches())
        line = [sys.executable, "-m", "runtime.cli", command, *own, page, *light, *flags]
        self._typed, keys = os.openpty() if keyboard else (None, subprocess.DEVNULL)
        with self.log.open("w") as output:
            self.process = subprocess.Popen(line, stdout=output, stderr=output, stdin=keys, env=self.environment)
        if keyboard:
            os.close(keys)  # its own copy is what it reads
        self.name = folder.name
        STARTED.append(self)

    @property
    def session(self) -> Path:
        """The folder of the first session that this run recorded."""
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

    def needs(self) -> dict[str, float]:
        """What it needed of the machine over what it got so far, by name."""
        sessions = self.log.parent / "sessions"
        return machine_need.needs(self.session) if sessions.is_dir() else {}

    def child(self, name: str) -> int:
        """The process id of one of its processes."""
        return run_client.child(self.folder, name)

    @property
    def folder(self) -> Path:
        """The run's folder in shared memory."""
        return run_client.run_folder(self.process.pid)

    def command(self, name: messages.CommandName) -> str:
        """What the arms answer to an order."""
        operator = run_client.Operator(self.folder)
        time.sleep(_CONNECTED_S)
        try:
            return operator.give(name).answer
        finally:
            operator.close()

    def press(self, keys: bytes) -> None:
        """Type these keys into the terminal that the run was started in."""
        assert self._typed is not None, "it has no keyboard"
        os.write(self._typed, keys)

    def __enter__(self) -> "LiveRun":
        return self

    def __exit__(self, *_: object) -> None:
        """In order if it can, so that its session is whole; else by force."""
        try:
            self.end()
        except subprocess.TimeoutExpired:
            self.end(signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit status."""
        alive = self.process.poll() is None
        if alive:
            self.process.send_signal(number)
        code = self.process.wait(END_S)
        if alive and number == signal.SIGKILL:  # it could not
            for left in MEMORY_FOLDER.glob(f"{RUN_PREFIX}{self.process.pid}-*"):
                shutil.rmtree(left, ignore_errors=True)
        if self._typed is not None:  # not before: a terminal that is gone ends it as a lost connection would
            os.close(self._typed)
            self._typed = None
        return code
