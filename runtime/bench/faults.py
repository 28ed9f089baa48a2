"""Faults of the emulated arms, injected into a live run (`--profile sim --can`), and the time until both arms hold."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runtime import order, wire, wire_check
from runtime.clock import now_ns
from runtime.errors import RuntimeFault

_START_S, _HOLD_S, _BACK_S, _END_S = 120.0, 5.0, 30.0, 30.0
_BETWEEN_S = (0.5, 1.0)  # of quiet running before a fault, by chance
_FLAGS = ("--profile", "sim", "--can", "--safety.max_feedback_age_s", "0.05", "--arms.resume", "itself")

EMULATED: dict[str, dict[str, Any]] = {
    "silent bus": {"silent": True},
    "bus cut off": {"cut": True},
    "stop (status 1)": {"status": 1},
    "status 4": {"status": 4},
    "master plugged in (0x155)": {"master": True},
    "torn joint triples": {"torn": True},
    "gripper stuck": {"gripper_stuck": True},
    "teach mode": {"teaching": True},
    "motor error": {"motor_error": 3},
    "hot motor": {"hot_motor": 5},
}
PROCESS: dict[str, signal.Signals] = {"CAN process stopped": signal.SIGSTOP, "CAN process killed": signal.SIGKILL}


@dataclass
class Injection:
    """One fault's figures."""

    hold_ms: list[float]
    said: str = ""


class LiveRobot:
    """A run of its own, listened to from outside."""

    def __init__(self, folder: Path, seconds: float) -> None:
        command = [sys.executable, "-m", "runtime.cli", "robot", *_FLAGS, "--sessions", str(folder)]
        self._folder = folder
        self._output = (folder / "output.txt").open("w")
        self.process = subprocess.Popen([*command, "--seconds", str(seconds)], stdout=self._output, stderr=self._output)
        deadline = time.monotonic() + _START_S
        while not (found := list(order.MEMORY_FOLDER.glob(f"{order.RUN_PREFIX}{self.process.pid}-*"))):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeFault(f"the robot did not start; see {folder}/output.txt")
            time.sleep(0.05)
        self.run = found[0]
        self._operator = order.Operator(self.run)
        self._bus = self._operator.bus
        self._targets = self._bus.subscriber("arm_target", depth=2000)
        self._states = self._bus.subscriber("safety", newest=True)
        self.state: wire.SafetyState | None = None

    def wait(self, mode: Callable[[wire.ArmTarget], bool], timeout_s: float) -> wire.ArmTarget:
        """The first tick of which something is true. Raises RuntimeFault when there is none in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.process.poll() is None:
            self._bus.wait(0.02)
            for received in self._states.take():
                assert isinstance(received.message, wire.SafetyState)
                self.state = received.message
            for received in self._targets.take():
                if isinstance(received.message, wire.ArmTarget) and mode(received.message):
                    return received.message
        raise RuntimeFault(f"waited {timeout_s:.0f} s in vain; the arms say {self.state and self.state.reasons}")

    def order(self, *names: wire.OrderName) -> None:
        """Give orders, one after the other."""
        for name in names:
            self._operator.give(name)

    def child(self, name: str) -> int:
        """Process id."""
        found = subprocess.run(
            ["pgrep", "-f", f"runtime.process {name} {self.run}"], capture_output=True, text=True, check=True
        )
        return int(found.stdout.split()[0])

    @property
    def session(self) -> Path:
        """Its folder."""
        return next(path for path in self._folder.iterdir() if path.is_dir())

    def end(self) -> None:
        """Let it end, and wait for its session."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(_END_S)
        self._operator.close()
        self._output.close()


def run(seconds: float, repeats: int, say: Callable[[str], None]) -> dict[str, Any]:
    """A quiet run whose targets are compared at the wire, then every fault `repeats` times. Times in ms."""
    with tempfile.TemporaryDirectory(prefix="video2act-bench-") as name:
        quiet = LiveRobot(Path(name), seconds)
        try:
            quiet.process.wait(_START_S + seconds + _END_S)
        finally:
            quiet.end()
        result: dict[str, Any] = {"wire": wire_check.compare(quiet.session)}
        for side, row in result["wire"].items():
            say(f"  {side} arm, {seconds:.0f} s: " + ", ".join(f"{what} {count}" for what, count in row.items()))
    with tempfile.TemporaryDirectory(prefix="video2act-bench-") as name:
        robot = LiveRobot(Path(name), 3600)
        try:
            robot.wait(lambda tick: tick.mode == "RUNNING", _START_S)
            result["faults"] = _inject_all(robot, repeats, say)
        finally:
            robot.end()
    return result


def _inject_all(robot: LiveRobot, repeats: int, say: Callable[[str], None]) -> dict[str, Any]:
    dice = np.random.default_rng(0)
    figures: dict[str, Any] = {}
    for name in (*EMULATED, *PROCESS):
        injection = Injection([])
        for _ in range(repeats):
            _inject(robot, name, injection, dice)
        times = injection.hold_ms
        figures[name] = {"median_ms": float(np.median(times)), "worst_ms": max(times), "said": injection.said}
        say(f"  {name:<28}{figures[name]['median_ms']:>8.1f}{figures[name]['worst_ms']:>8.1f}   {injection.said[:90]}")
    return figures


def _inject(robot: LiveRobot, name: str, injection: Injection, dice: np.random.Generator) -> None:
    """One fault of the left arm, its time to HOLD, and the way back to RUNNING."""
    time.sleep(dice.uniform(*_BETWEEN_S))
    robot.wait(lambda tick: tick.mode == "RUNNING" and tick.stamp_ns > now_ns() - 20_000_000, _BACK_S)
    pid = robot.child("can_left") if name in PROCESS else 0
    began_ns = now_ns()
    if pid:
        os.kill(pid, PROCESS[name])
    else:
        _switch(robot.run, EMULATED[name])
    held = robot.wait(lambda tick: tick.stamp_ns > began_ns and tick.mode != "RUNNING", _HOLD_S)
    injection.hold_ms.append((held.stamp_ns - began_ns) / 1e6)
    robot.wait(lambda tick: tick.stamp_ns > held.stamp_ns + 300_000_000, _BACK_S)  # until its reasons were told
    injection.said = "; ".join(robot.state.reasons) if robot.state else ""
    if not pid:
        _switch(robot.run, {})
    elif PROCESS[name] == signal.SIGSTOP:
        os.kill(pid, signal.SIGCONT)
    deadline = time.monotonic() + _BACK_S
    while time.monotonic() < deadline:
        robot.order("clear", "arm", "run")
        try:
            robot.wait(lambda tick: tick.mode == "RUNNING", 1.0)
            return
        except RuntimeFault:
            continue
    raise RuntimeFault(f"after {name!r} the robot did not run again: {robot.state and robot.state.reasons}")


def _switch(run: Path, faults: dict[str, Any]) -> None:
    path = run / "faults.json"
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps({"left": faults}))
    beside.rename(path)
