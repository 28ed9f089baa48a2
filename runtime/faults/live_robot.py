"""A run of the robot command, started, listened to, commanded and ended from outside.
Used by inject.py and by all injections; endurance.py and starts.py run one too.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.arms.reasons import MOVING
from runtime.errors import RuntimeFault
from runtime.host.child_process import die_with_parent
from runtime.messaging import messages
from runtime.supervisor import run_client

_START_S, _END_S, _POLL_S = 180.0, 30.0, 0.02  # longest start and longest end; between two looks at the bus; chosen
_RUNS_S = (
    1.0  # it is waited for RUNNING before commands are given; chosen: a HOLD that ends by itself does so within it
)
_DEPTH = 4000  # targets that may wait; chosen: 20 s at 200 Hz, longer than any injection takes to begin
_SPEED_TICKS = 8  # over which a speed is taken; chosen: 40 ms at 200 Hz
_GRIPPERS = (6, 13)  # their speed is in m/s and says nothing of the arms'


class SupportsClose(Protocol):
    """Something that is open until somebody closes it."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Tick:
    """One tick of `arms`, as its target tells."""

    stamp_ns: int
    deadline_ns: int
    mode: str
    q: NDArray[np.float64]  # (14,) as sent


class LiveRobot:
    """One run with a folder of its own. `events`: what was told since it began to be listened to, oldest first."""

    def __init__(self, folder: Path, flags: Sequence[str]) -> None:
        command = [sys.executable, "-m", "runtime.cli", "robot", *flags, "--sessions", str(folder / "sessions")]
        self.output = folder / "output.txt"
        self._sessions = folder / "sessions"
        self.events: list[messages.Message] = []
        self.ticks: list[Tick] = []
        self.state: messages.SafetyState | None = None
        self.supervision: messages.Supervision | None = None
        self.said_of_recorder: list[str] = []
        """By the supervisor, over the whole run."""
        self.closing: dict[str, SupportsClose] = {}
        """What injections keep from one row to the next, by name; closed with the run."""
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                preexec_fn=partial(die_with_parent, "faults"), start_new_session=True,
            )  # fmt: skip
        try:
            self._connect(time.monotonic() + _START_S)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _connect(self, deadline: float) -> None:
        while True:
            try:
                self.folder = run_client.run_folder(self.process.pid)
                self._operator = run_client.Operator(self.folder)
                break
            except RuntimeFault:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeFault(f"the robot did not start: {self._last_line()}") from None
                time.sleep(0.05)
        bus = self._operator.bus
        self._heard = [bus.subscriber(name, depth=500) for name in ("safety", "fault", "supervision")]
        self._targets = bus.subscriber("arm_target", depth=_DEPTH)

    def _last_line(self) -> str:
        lines = self.output.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it printed nothing"

    @property
    def alive(self) -> bool:
        """Whether its supervisor runs."""
        return self.process.poll() is None

    @property
    def mode(self) -> str:
        """The newest mode; empty: nothing was heard yet."""
        return self.state.mode if self.state else ""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it does not run, as it says itself."""
        return self.state.reasons if self.state else ()

    def listen(self) -> list[messages.Message]:
        """Wait a moment for news, take them in, and return them."""
        self._operator.bus.wait(_POLL_S)
        news = [received.message for subscriber in self._heard for received in subscriber.take()]
        for message in news:
            if isinstance(message, messages.SafetyState):
                self.state = message
            elif isinstance(message, messages.Supervision):
                self.supervision = message
            elif isinstance(message, messages.Fault) and message.text.startswith("recorder "):
                self.said_of_recorder.append(message.text)
        for received in self._targets.take():
            target = received.message
            if isinstance(target, messages.ArmTarget) and target.sent:
                self.ticks.append(Tick(target.stamp_ns, target.deadline_ns, target.mode, target.q))
        self.events += news
        return news

    def wait(self, wanted: Callable[[], bool], timeout_s: float) -> bool:
        """Listen until something is so. Returns whether it came to be within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not wanted():
            if time.monotonic() > deadline or not self.alive:
                return False
            self.listen()
        return True

    def pause(self, duration_s: float) -> None:
        """Listen for so long."""
        self.wait(lambda: False, duration_s)

    def speed_rad_s(self) -> float:
        """Of the joint that is fastest now, by the targets that were sent last."""
        newest = self.ticks[-_SPEED_TICKS:]
        if len(newest) < 2 or newest[-1].stamp_ns <= newest[0].stamp_ns:
            return 0.0
        way = np.delete(np.abs(newest[-1].q - newest[0].q), _GRIPPERS)
        return float(way.max() * 1e9 / (newest[-1].stamp_ns - newest[0].stamp_ns))

    def command(self, *names: messages.CommandName) -> None:
        """Give commands, one after the other; one that no `arms` answers is given in vain."""
        for name in names:
            try:
                self._operator.give(name)
            except RuntimeFault:
                return

    def say_raw(self, payload: bytes) -> None:
        """Send any bytes where an operator's commands are heard."""
        self._operator.send_raw(payload)

    def run_again(self, timeout_s: float) -> bool:
        """Wait until it runs, by the commands that are needed. Returns whether it does within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.alive:
            self.state = None  # what was said before the question says nothing of now
            if self.wait(lambda: self.mode == "RUNNING", _RUNS_S):
                return True
            self.command("clear", "arm")
            if any("jumps" in reason for reason in self.reasons):
                self.move("ready", timeout_s)  # arms that sank are too far from where the policy wants them
            self.command("run")
        return False

    def move(self, pose: messages.CommandName, timeout_s: float) -> bool:
        """Move to the ready or the rest pose by commands. Returns whether the arms are there within `timeout_s`."""
        self.command(pose)
        self.pause(0.3)
        return self.wait(lambda: not any(reason.startswith(MOVING) for reason in self.reasons), timeout_s)

    def release(self, timeout_s: float) -> bool:
        """Move to the rest pose and release the arms, by commands. Returns whether they are released within `timeout_s`."""
        self.command("hold")
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.move("rest", timeout_s) and not self._operator.give("release", confirmed=True).answer:
                return True
        return False

    def child(self, name: str) -> int:
        """The process id of one of its processes; of the supervisor that of the run."""
        return self.process.pid if name == "supervisor" else run_client.child(self.folder, name)

    @property
    def lost(self) -> int:
        """Messages that never reached somebody, by the counters of all processes."""
        return sum(row.lost for row in self.supervision.processes) if self.supervision else 0

    @property
    def restarts(self) -> dict[str, int]:
        """How often each process was started again."""
        return {row.process: row.restarts for row in self.supervision.processes} if self.supervision else {}

    @property
    def session(self) -> Path:
        """The folder of the session that this run records."""
        return next(path for path in self._sessions.iterdir() if path.is_dir())

    def end(self, number: int = signal.SIGTERM, sweep: bool = True) -> float:
        """End the run, and with `sweep` kill what is left of it. Returns how long its end took, s."""
        began = time.monotonic()
        if self.alive:
            self.process.send_signal(number)
        try:
            while self.alive and time.monotonic() - began < _END_S:
                self.listen()
        finally:
            took_s = time.monotonic() - began
            for each in self.closing.values():
                each.close()
            self._operator.close()
            self.process.kill()
            self.process.wait()
            if sweep:
                self.sweep()
        return took_s

    def left(self) -> list[str]:
        """Names of its processes that still run."""
        return sorted(run_client.children(self.folder))

    def sweep(self) -> None:
        """Kill what stayed where the supervisor could not end its processes itself, which brake the arms meanwhile."""
        deadline = time.monotonic() + 3.0
        while self.left() and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in run_client.children(self.folder).values():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
