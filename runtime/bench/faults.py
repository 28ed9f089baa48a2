"""Faults of the emulated arms and of cameras, injected into a live run (`--profile sim --can`): time until both arms hold.
Called by command.py.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from drivers.can_hub import INTERFACE
from drivers.emulated_bus import socket_of
from drivers.piper import PiperArm
from runtime.arms.reasons import MOVING
from runtime.bench import can_audit
from runtime.config.settings import load_settings
from runtime.devices import fault_injection
from runtime.doctor.buses import check_arm
from runtime.errors import RuntimeFault
from runtime.host.clock import robot_time_ns
from runtime.messaging import messages
from runtime.supervisor import run_client

_START_S, _HOLD_S, _BACK_S, _END_S, _RUNS_S = 120.0, 5.0, 30.0, 30.0, 1.0
"""Longest wait for the start, a HOLD, RUNNING again and the end; and how long it has to run before the next fault. Chosen."""
_MOST_OTHERS = 20  # holds for another reason before the bench gives up: the machine is too busy to measure on; chosen
_NO_HOLD = " (no HOLD: it is never armed)"
_LATE_S = 6.0  # longer than a CAN process keeps trying
_BETWEEN_S = (0.5, 1.0)  # of quiet running before a fault, by chance
_FLAGS = (
    "--profile", "sim", "--can", "--safety.max_feedback_age_s", "0.05", "--arms.auto_resume",
    "--cameras.max_frame_age_s", "0.08", "--cameras.max_lag_s", "0.05",
)  # fmt: skip

_OLD = "left arm: feedback is"  # the reason to hold that is expected of a silent arm


@dataclass(frozen=True)
class Fault:
    """What is done to the left arm or a camera, and the reason to hold that it must give."""

    name: str
    reason: str
    emulated: dict[str, Any] = field(default_factory=dict)  # of the emulated arm or camera
    process: signal.Signals | None = None  # to the arm's CAN process instead
    part: str = "left"  # or a camera


# Numbers are the emulator's: a status or motor as its frames count them; a delay beyond what the settings allow a camera.
FAULTS = (
    Fault("silent bus", _OLD, {"silent": True}),
    Fault("bus cut off", _OLD, {"cut": True}),
    Fault("stop (status 1)", "left arm: status 1", {"status": 1}),
    Fault("status 4", "left arm: status 4", {"status": 4}),
    Fault("leader plugged in (0x155)", "left arm: another sender commands it", {"leader": True}),
    Fault("torn joint triples", "joint readings were torn", {"torn": True}),
    Fault("gripper stuck", "left arm: gripper reports", {"gripper_stuck": True}),
    Fault("teach mode", "left arm: in teach mode", {"teaching": True}),
    Fault("motor error", "left arm: motor 3 reports: driver error", {"motor_error": 3}),
    Fault("hot motor", "left arm: motor 5 is", {"hot_motor": 5}),
    Fault("CAN process stopped", _OLD, process=signal.SIGSTOP),
    Fault("CAN process killed", _OLD, process=signal.SIGKILL),
    Fault("camera frozen", "camera head: no new frame", {"frozen": True}, part="head"),
    Fault("camera repeats its frame", "camera head: no new frame", {"same_bytes": True}, part="head"),
    Fault("camera unplugged", "camera left_wrist: device is gone", {"unplugged": True}, part="left_wrist"),
    Fault("camera slow", "camera right_wrist: no new frame", {"slow_s": 0.4}, part="right_wrist"),
    Fault("camera skewed", "camera head: frames", {"skew_s": 0.12}, part="head"),
)


def _moves(reasons: Sequence[str]) -> bool:
    """Whether the arms are on the way to a pose."""
    return any(reason.startswith(MOVING) for reason in reasons)


@dataclass
class Injection:
    """What was measured of one kind of fault, over all its repeats."""

    hold_ms: list[float]
    said: str = ""
    others: int = 0  # holds for another reason, which were not counted


class LiveRobot:
    """A run of its own, listened to from outside."""

    def __init__(self, folder: Path, seconds: float) -> None:
        command = [sys.executable, "-m", "runtime.cli", "robot", *_FLAGS, "--sessions", str(folder)]
        self._folder = folder
        self._output = (folder / "output.txt").open("w")
        self.process = subprocess.Popen([*command, "--seconds", str(seconds)], stdout=self._output, stderr=self._output)
        try:
            self._operator = self._found(time.monotonic() + _START_S)
        except BaseException:
            self.process.kill()
            raise
        self._bus = self._operator.bus
        self._states = self._bus.subscriber("safety", depth=200)
        self._faults = self._bus.subscriber("fault", depth=200)
        self.state: messages.SafetyState | None = None

    def _found(self, deadline: float) -> run_client.Operator:
        while True:
            try:
                self.run = run_client.run_folder(self.process.pid)
                return run_client.Operator(self.run)
            except RuntimeFault:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def wait(self, wanted: Callable[[messages.SafetyState], bool], timeout_s: float) -> messages.SafetyState:
        """The first state of the safety layer that is as wanted. Raises RuntimeFault when there is none in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.process.poll() is None:
            self._bus.wait(0.02)
            for received in self._states.take():
                assert isinstance(received.message, messages.SafetyState)
                self.state = received.message
                if wanted(self.state):
                    return self.state
        raise RuntimeFault(f"no answer within {timeout_s:.0f} s; the arms report {self.state and self.state.reasons}")

    def wait_for_fault(self, text: str, timeout_s: float) -> messages.Fault:
        """The first fault from now on that says so. Raises RuntimeFault when there is none in time."""
        self._faults.take()
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.process.poll() is None:
            self._bus.wait(0.02)
            for received in self._faults.take():
                if isinstance(received.message, messages.Fault) and text in received.message.text:
                    return received.message
        raise RuntimeFault(f"no report of {text!r} within {timeout_s:.0f} s")

    def ready(self) -> None:
        """Move to the ready pose by commands, and wait until the arms are there."""
        self.command("ready")
        self.wait(lambda state: not _moves(state.reasons), _BACK_S)

    def release(self) -> None:
        """Move to the rest pose and release the arms, by commands. Raises RuntimeFault when they do not get there."""
        deadline = time.monotonic() + _BACK_S
        self.command("hold", "rest")
        while (answer := self._operator.give("release", confirmed=True)).answer:
            if time.monotonic() > deadline:
                raise RuntimeFault(f"the arms were not released: {answer.answer}; {answer.reasons}")
            if not _moves(answer.reasons):
                self.command("rest")  # a late reading ended the way there
            time.sleep(0.2)

    def command(self, *names: messages.CommandName) -> None:
        """Give commands, one after the other."""
        for name in names:
            self._operator.give(name)

    @property
    def session(self) -> Path:
        """The folder of the session that this run records."""
        return next(path for path in self._folder.iterdir() if path.is_dir())

    def end(self) -> None:
        """End the run in order, and wait until its session is written."""
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
        result: dict[str, Any] = {"wire": can_audit.compare(quiet.session)}
        for side, row in result["wire"].items():
            say(f"  {side} arm, {seconds:.0f} s: " + ", ".join(f"{what} {count}" for what, count in row.items()))
    with tempfile.TemporaryDirectory(prefix="video2act-bench-") as name:
        robot = LiveRobot(Path(name), 3600)
        try:
            robot.wait(lambda state: state.mode == "RUNNING", _START_S)
            result["faults"] = {
                "late enable": _late_enable(robot, repeats, say),
                "corrupt limits": _corrupt_limits(robot, repeats, say),
            } | _inject_all(robot, repeats, say)
        finally:
            robot.end()
    return result


def _inject_all(robot: LiveRobot, repeats: int, say: Callable[[str], None]) -> dict[str, Any]:
    dice = np.random.default_rng(0)
    figures: dict[str, Any] = {}
    for fault in FAULTS:
        injection = Injection([])
        while len(injection.hold_ms) < repeats:
            _inject(robot, fault, injection, dice)
            if injection.others > _MOST_OTHERS:
                raise RuntimeFault(
                    f"{fault.name!r}: more than {_MOST_OTHERS} holds for other reasons: {robot.state and robot.state.reasons}"
                )
        others = injection.others
        note = f" ({others} holds for another reason, repeated)" if others else ""
        row = _row(fault.name, injection.hold_ms, injection.said, note, say)
        figures[fault.name] = row | {"holds_for_other_reasons": others}
    return figures


def _inject(robot: LiveRobot, fault: Fault, injection: Injection, dice: np.random.Generator) -> None:
    """One fault of the left arm, its time to a HOLD that names it, and the way back to RUNNING."""
    time.sleep(dice.uniform(*_BETWEEN_S))
    _run_again(robot, fault.name)
    pid = run_client.child(robot.run, "can_left") if fault.process else 0
    began_ns = robot_time_ns()
    if fault.process:
        os.kill(pid, fault.process)
    else:
        _switch(robot.run, fault.emulated, fault.part)
    held = robot.wait(lambda state: state.stamp_ns > began_ns and state.mode != "RUNNING", _HOLD_S)
    named = [reason for reason in held.reasons if fault.reason in reason]
    if named:
        injection.hold_ms.append((held.stamp_ns - began_ns) / 1e6)
        injection.said = named[0]
    else:
        injection.others += 1
    if not fault.process:
        _switch(robot.run, {})
    elif fault.process == signal.SIGSTOP:
        os.kill(pid, signal.SIGCONT)
    _run_again(robot, fault.name)


def _late_enable(robot: LiveRobot, repeats: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Motors that do not switch on in time: from the command to arm until it is said; meanwhile nothing is armed."""
    times: list[float] = []
    said = ""
    for _ in range(repeats):
        _run_again(robot, "late enable")
        robot.release()
        _switch(robot.run, {"late_enable_s": _LATE_S})
        time.sleep(_BETWEEN_S[0])
        began_ns = robot_time_ns()
        robot.command("arm")
        fault = robot.wait_for_fault("not enabled within", _HOLD_S)
        state = robot.wait(_armed_or_later(began_ns, fault.stamp_ns), _HOLD_S)
        if state.mode != "DISARMED":
            raise RuntimeFault(f"an arm that did not switch on was armed: {state.mode}")
        times.append((fault.stamp_ns - began_ns) / 1e6)
        said = fault.text
        _switch(robot.run, {})
    _run_again(robot, "late enable")
    return _row("late enable", times, said, _NO_HOLD, say)


def _corrupt_limits(robot: LiveRobot, repeats: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Stored ranges that make no sense: the doctor, on the same bus while the robot runs; it forbids to arm a real one."""
    settings = load_settings([*_FLAGS])
    times: list[float] = []
    said = ""
    _switch(robot.run, {"corrupt_limits": True})
    for _ in range(repeats):
        time.sleep(_BETWEEN_S[0])
        began_ns = robot_time_ns()
        rows = check_arm(PiperArm("left", str(socket_of(robot.run, "left")), INTERFACE), settings)
        times.append((robot_time_ns() - began_ns) / 1e6)
        ranges = next(row for row in rows if row.name.endswith("ranges"))
        if ranges.verdict != "fail":
            raise RuntimeFault(f"the doctor passed corrupt limits: {ranges.found}")
        said = f"doctor: {ranges.found}"
    _switch(robot.run, {})
    return _row("corrupt limits", times, said, _NO_HOLD, say)


def _row(name: str, times: list[float], said: str, note: str, say: Callable[[str], None]) -> dict[str, Any]:
    """One line of the table, and its figures."""
    median_ms, worst_ms = float(np.median(times)), max(times)
    say(f"  {name:<28}{median_ms:>8.1f}{worst_ms:>8.1f}   {said[:90]}{note}")
    return {"median_ms": median_ms, "worst_ms": worst_ms, "said": said}


def _run_again(robot: LiveRobot, after: str) -> None:
    """Wait until it runs, by the commands that are needed."""
    deadline = time.monotonic() + _BACK_S
    while time.monotonic() < deadline:
        try:
            robot.wait(_runs_since(robot_time_ns()), _RUNS_S)
            return
        except RuntimeFault:
            robot.command("clear", "arm")
            if robot.state is not None and any("jumps" in reason for reason in robot.state.reasons):
                robot.ready()  # arms that sank are too far from where the policy wants them
            robot.command("run")
    raise RuntimeFault(f"after {after!r} the robot did not run again: {robot.state and robot.state.reasons}")


def _armed_or_later(since_ns: int, until_ns: int) -> Callable[[messages.SafetyState], bool]:
    """The first state that is armed between both times, or else the first one after."""
    return lambda state: state.stamp_ns > since_ns and (state.mode != "DISARMED" or state.stamp_ns > until_ns)


def _runs_since(since_ns: int) -> Callable[[messages.SafetyState], bool]:
    return lambda state: state.stamp_ns > since_ns and state.mode == "RUNNING"


def _switch(run: Path, faults: dict[str, Any], part: str = "left") -> None:
    path = run / fault_injection.NAME
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps({part: faults}))
    beside.rename(path)
