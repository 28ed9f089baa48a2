"""A command to the motors is sent until the arm shows it: cell by cell, and through the real piper_sdk on an emulated bus.
Called by pytest."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers import piper_frames as frames
from drivers.arm import ArmState, MotorCommand
from drivers.arm_link import ArmCommand, ReadingSlot, TargetSlot
from drivers.emulated_bus import EmulatedBus, socket_of
from drivers.piper_emulator import Faults, KinematicBody, PiperEmulator
from drivers.piper_frames import Frame
from runtime.config.loading import load_settings
from runtime.devices import can_bus
from runtime.devices.motor_commands import MotorState, Shown, keep_undone, next_action, not_carried_out
from runtime.host.clock import robot_time_ns, seconds
from runtime.process.base import Process, RunFile

NOW_NS = 10_000_000_000
OFF, DONE, UNSENT = Shown(False), Shown(False, done=True), Shown(False, error="No buffer space")
FALLS: tuple[MotorCommand, ...] = ("release", "reset")
_SEEN_S = 20.0  # a loaded machine may be slow; what has to be quick is asserted by itself
ALL: tuple[MotorCommand, ...] = ("stop", *FALLS)


class Commanded:
    """Looks on a clock of its own at an arm that was given commands."""

    def __init__(self, *motor_commands: MotorCommand) -> None:
        self.state, self.command = MotorState(0), ArmCommand(np.zeros(7), 0)
        self.now_ns = NOW_NS
        self.give(*motor_commands)

    def give(self, *motor_commands: MotorCommand) -> None:
        """More commands, as `arms` writes them."""
        for motor_command in motor_commands:
            self.command = self.command.with_motor_command(motor_command)

    def looks(self, duration_s: float, shown: Shown = OFF) -> list[tuple[float, str]]:
        """Look every millisecond; returns when something was done, in s since the beginning, and what."""
        done: list[tuple[float, str]] = []
        for _ in range(round(duration_s * 1e3)):
            if action := next_action(self.state, self.command, shown, self.now_ns):
                done.append(((self.now_ns - NOW_NS) / 1e9, action))
            self.now_ns += seconds(0.001)
        return done

    @property
    def warning(self) -> str:
        """What the operator reads."""
        return not_carried_out(self.state, self.now_ns)


@pytest.mark.parametrize("motor_command", ALL)
def test_a_command_is_sent_every_50_ms_for_2_s(motor_command: MotorCommand) -> None:
    commanded = Commanded(motor_command)
    done = commanded.looks(5.0)
    assert done == [(pytest.approx(0.05 * n), motor_command) for n in range(40)]


@pytest.mark.parametrize("motor_command", ALL)
def test_what_the_arm_shows_is_sent_no_more(motor_command: MotorCommand) -> None:
    commanded = Commanded(motor_command)
    assert commanded.looks(0.08) == [(0.0, motor_command), (0.05, motor_command)]
    assert commanded.looks(0.5, DONE) == [] and commanded.warning == ""
    assert commanded.looks(0.5) == [], "what it does later is not taken back by itself"


@pytest.mark.parametrize("motor_command", ALL)
def test_what_the_arm_showed_before_does_not_count(motor_command: MotorCommand) -> None:
    """It is sent at least once, and the arm is judged once it had the time to report."""
    commanded = Commanded(motor_command)
    assert commanded.looks(0.05, DONE) == [(0.0, motor_command)]
    assert commanded.state.pending == motor_command
    assert commanded.looks(0.01, DONE) == [] and commanded.state.pending is None


@pytest.mark.parametrize("before", ALL)
@pytest.mark.parametrize("after", ["enable", *ALL])
def test_a_newer_command_ends_the_repetition(before: MotorCommand, after: MotorCommand) -> None:
    commanded = Commanded(before)
    commanded.looks(0.12)
    commanded.give(after)
    done = commanded.looks(4.0)
    assert done[0] == (0.12, after), "at once"
    assert {action for _, action in done} <= {after, "give up"}
    assert before not in commanded.warning or before == after


@pytest.mark.parametrize("before", FALLS)
def test_an_arm_that_is_armed_in_the_same_look_is_let_fall_once_at_most(before: MotorCommand) -> None:
    commanded = Commanded(before, "enable")
    assert [action for _, action in commanded.looks(0.3)] == [before, *["enable"] * 6]
    assert commanded.looks(1.0, Shown(True)) == []
    assert commanded.looks(1.0) == [], "switched off again, by somebody else"


@pytest.mark.parametrize(
    ("motor_command", "name"), [("stop", "`stop`"), ("release", "`release`"), ("reset", "`clear`")]
)
@pytest.mark.parametrize(
    ("shown", "late_s", "why"),
    [(OFF, 0.3, "the arm does not report it"), (UNSENT, 0.1, "it cannot be sent: No buffer space")],
)
def test_what_is_not_shown_is_told_with_the_remedy(
    motor_command: MotorCommand, name: str, shown: Shown, late_s: float, why: str
) -> None:
    commanded = Commanded(motor_command)
    commanded.looks(late_s - 0.001, shown)
    assert commanded.warning == "", "it had no time yet"
    commanded.looks(0.002, shown)
    assert commanded.warning == f"{name} not carried out: {why}; support the arm, then use its power switch"
    commanded.looks(2.0, shown)
    assert commanded.warning.startswith(f"{name} not carried out within 2 s: {why}; support")
    commanded.looks(100.0, shown)
    assert commanded.warning, "it is still so"
    commanded.looks(0.1, DONE)
    assert commanded.warning == "", "the arm did it late, or somebody for it"


def test_an_error_of_some_frames_stays_told() -> None:
    """Not in turns with another reason, each a line of its own."""
    commanded = Commanded("stop")
    commanded.looks(0.12, UNSENT)
    commanded.looks(0.5)
    assert "No buffer space" in commanded.warning
    commanded.give("stop")
    commanded.looks(0.4)
    assert "does not report it" in commanded.warning


def test_to_enable_is_never_told_as_not_carried_out() -> None:
    commanded = Commanded("enable")
    assert commanded.looks(5.0)[-1] == (pytest.approx(3.05), "give up")
    assert commanded.warning == ""


@pytest.mark.parametrize("motor_command", ALL)
def test_nothing_is_sent_again_on_a_new_connection(motor_command: MotorCommand) -> None:
    commanded = Commanded(motor_command)
    commanded.looks(0.2)
    commanded.state, before = MotorState(commanded.command.number), commanded.state
    keep_undone(commanded.state, before)
    assert commanded.looks(3.0) == []
    assert "not carried out within 2 s" in commanded.warning, "which is not over with the connection"
    commanded.looks(0.1, DONE)
    assert commanded.warning == ""


@pytest.mark.parametrize("before", ["enable", *ALL])
def test_what_came_while_the_bus_was_closed_ends_what_was_told(before: MotorCommand) -> None:
    commanded = Commanded(before)
    commanded.looks(0.2)
    commanded.give("enable" if before != "enable" else before)
    commanded.state, old = MotorState(commanded.command.number), commanded.state
    keep_undone(commanded.state, old)
    assert commanded.state == MotorState(commanded.command.number)


def test_an_arm_that_was_being_enabled_is_not_on_a_new_connection() -> None:
    commanded = Commanded("enable")
    commanded.looks(0.2)
    commanded.state, before = MotorState(commanded.command.number), commanded.state
    keep_undone(commanded.state, before)
    assert commanded.looks(3.0) == [] and commanded.state.pending is None


class HearingEmulator(PiperEmulator):
    """Keeps every frame that reaches it, and when."""

    def __init__(self) -> None:
        super().__init__(KinematicBody())
        self.frames: list[tuple[int, Frame]] = []

    def hear(self, frame: Frame, now_ns: int) -> None:
        """Also keeps it."""
        self.frames.append((now_ns, frame))
        super().hear(frame, now_ns)

    def count(self, number: int, first: int) -> int:
        """How many frames of an id came that begin with this byte, or with 7 and this one."""
        return sum(
            data[: len(begin)] == begin
            for begin in (bytes([first]), bytes([7, first]))
            for _, (heard, data) in self.frames
            if heard == number
        )

    @property
    def stops(self) -> int:
        return self.count(frames.Id.STOP, 1)

    @property
    def resets(self) -> int:
        return self.count(frames.Id.STOP, 2)

    @property
    def releases(self) -> int:
        return self.count(frames.Id.ENABLE, 1)


class BusRig:
    """The process of the left arm's bus, in a thread, between an emulated arm and the slots of `arms`."""

    def __init__(self, folder: Path) -> None:
        session = folder / "session"
        RunFile(settings=load_settings(["--can"]).model_dump_json(), session=session, revision="").save(folder)
        self.emulator = HearingEmulator()
        self.bus = EmulatedBus(socket_of(folder, "left"), self.emulator)
        self._ended, self._switch_s = threading.Event(), sys.getswitchinterval()
        self._arm_thread = threading.Thread(target=self.bus.run, args=(lambda: not self._ended.is_set(),))
        self._arm_thread.start()
        self._targets, self._readings = TargetSlot(folder, "can", "left"), ReadingSlot(folder, "left")
        self.command = ArmCommand(np.zeros(7), 0)
        self.process = Process("can_left", folder, 1)
        self._thread = threading.Thread(target=can_bus.main, args=(self.process,))
        self._thread.start()

    def fault(self, **changed: Any) -> None:
        """Switch faults."""
        self.emulator.faults = Faults(**changed)
        time.sleep(0.02)

    def give(self, motor_command: MotorCommand) -> None:
        """As `arms` does."""
        self.command = self.command.with_motor_command(motor_command)
        self._targets.write(self.command)

    def prepare(self, motor_command: MotorCommand) -> None:
        """Stop the arm where the command is one that takes a stop back."""
        if motor_command == "reset":
            self.give("stop")
            self.sees(lambda state: "emergency stop" in state.warning)

    def sees(self, what: Callable[[ArmState], bool]) -> ArmState:
        """Wait for a reading; targets go on as from `arms`, at the place where the arm is."""
        deadline = time.monotonic() + _SEEN_S
        while (state := self._readings.read()) is None or not what(state):
            assert time.monotonic() < deadline, state
            self.target(state)
            time.sleep(0.005)
        return state

    def target(self, state: ArmState | None) -> None:
        """Send the arm a target where it is, if its motors are on."""
        if state is not None and state.powered and "emergency" not in state.warning:
            number, given = self.command.number, self.command.motor_commands
            self.command = ArmCommand(state.q.copy(), robot_time_ns(), number, given)
            self._targets.write(self.command)

    def hears_targets(self, count: int) -> None:
        """Send targets until so many more have reached the arm."""
        wanted = len(self.emulator.heard) + count
        self.sees(lambda state: len(self.emulator.heard) >= wanted)

    def armed(self) -> None:
        """Switch it on and wait for it; once more where a loaded machine took longer than an arm may."""
        self.sees(lambda state: state.number > 20)
        deadline = time.monotonic() + _SEEN_S
        while not (state := self.sees(lambda state: True)).powered:
            assert time.monotonic() < deadline, state
            self.give("enable")
            time.sleep(1.0)

    def close(self) -> None:
        """End all."""
        self.process.stop()
        self._thread.join(10)
        self.process.close()
        self._ended.set()
        self._arm_thread.join(5)
        self.bus.close()
        self._targets.close()
        self._readings.close()
        sys.setswitchinterval(self._switch_s)
        assert not self._thread.is_alive()


@pytest.fixture
def rig(folder: Path) -> Iterator[BusRig]:
    """A bus whose arm is on."""
    made = BusRig(folder)
    try:
        made.armed()
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("fault", [{"send_fails": True}, {"deaf": True}])
@pytest.mark.parametrize(("motor_command", "name"), [("stop", "stops"), ("release", "releases"), ("reset", "resets")])
def test_a_command_arrives_once_sending_comes_back(
    rig: BusRig, fault: dict[str, Any], motor_command: MotorCommand, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    rig.prepare(motor_command)
    rig.fault(**fault)
    rig.give(motor_command)
    why = "it cannot be sent: No buffer space available" if "send_fails" in fault else "the arm does not report it"
    state = rig.sees(lambda state: "not carried out: " in state.warning)
    assert why in state.warning and "then use its power switch" in state.warning
    assert ("emergency stop" in state.warning) is (motor_command == "reset"), "what the arm reports is told besides"
    assert getattr(rig.emulator, name) == 0
    rig.fault()
    rig.sees(lambda state: "not carried out" not in state.warning)
    assert {"stop": rig.emulator.stopped, "release": not rig.emulator.enabled, "reset": not rig.emulator.stopped}[
        motor_command
    ]
    sent = getattr(rig.emulator, name)
    time.sleep(0.3)
    assert getattr(rig.emulator, name) == sent > 0, "no more once it is shown"
    lines = [record.message for record in caplog.records if "not carried out" in record.message]
    assert len(lines) == 1 and lines[0].startswith("arm: left arm: ")


@pytest.mark.parametrize("motor_command", ALL)
def test_on_a_well_bus_a_command_ends_with_what_the_arm_shows(rig: BusRig, motor_command: MotorCommand) -> None:
    """After one frame, or a few where a loaded machine hears the arm late; the cells above count them."""
    before = (rig.emulator.stops, rig.emulator.releases, rig.emulator.resets)
    rig.give(motor_command)
    time.sleep(0.4)
    after = (rig.emulator.stops, rig.emulator.releases, rig.emulator.resets)
    assert (np.subtract(after, before) > 0).tolist() == [motor_command == each for each in ALL]
    state = rig.sees(lambda state: True)
    assert "not carried out" not in state.warning


@pytest.mark.parametrize("motor_command", ALL)
def test_what_could_not_be_sent_for_2_s_is_not_sent_later(
    rig: BusRig, motor_command: MotorCommand, caplog: pytest.LogCaptureFixture
) -> None:
    rig.prepare(motor_command)
    rig.fault(send_fails=True)
    rig.give(motor_command)
    rig.sees(lambda state: "not carried out within 2 s: it cannot be sent: No buffer space" in state.warning)
    before = (rig.emulator.stops, rig.emulator.releases, rig.emulator.resets)
    rig.fault()
    time.sleep(0.5)
    assert (rig.emulator.stops, rig.emulator.releases, rig.emulator.resets) == before
    assert "not carried out within 2 s" in rig.sees(lambda state: True).warning, "it is still so"
    assert len([record for record in caplog.records if "not carried out" in record.message]) == 2
    rig.give("stop")  # a new one is carried out
    rig.sees(lambda state: "emergency stop" in state.warning and "not carried out" not in state.warning)


@pytest.mark.parametrize(("motor_command", "name"), [("release", "releases"), ("reset", "resets")])
def test_an_arm_that_is_armed_afterwards_is_not_let_fall(rig: BusRig, motor_command: MotorCommand, name: str) -> None:
    rig.prepare(motor_command)
    rig.fault(send_fails=True)
    rig.give(motor_command)
    rig.sees(lambda state: "not carried out" in state.warning)
    rig.give("enable")
    rig.sees(lambda state: "not carried out" not in state.warning)
    rig.fault()
    if motor_command == "release":
        rig.sees(lambda state: state.powered)
    time.sleep(0.3)
    assert getattr(rig.emulator, name) == 0 and rig.emulator.enabled


@pytest.mark.parametrize(("motor_command", "name"), [("stop", "stops"), ("release", "releases")])
@pytest.mark.parametrize("lost", [{"silent": True}, {"cut": True}])
def test_a_stale_command_never_reaches_a_new_connection(
    rig: BusRig, motor_command: MotorCommand, name: str, lost: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The bus is lost while the command is on its way, and opened again after two seconds."""
    caplog.set_level(logging.INFO)
    rig.fault(**lost)
    rig.give(motor_command)
    deadline = time.monotonic() + _SEEN_S
    while not any("reopening the bus" in record.message for record in caplog.records):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    rig.fault()
    reopened_ns = robot_time_ns()
    state = rig.sees(lambda state: state.stamp_ns > reopened_ns and "not carried out" in state.warning)
    assert state.number < 200, "of a new connection"
    time.sleep(0.5)
    assert getattr(rig.emulator, name) == 0 and rig.emulator.enabled


def test_an_arm_that_did_not_stop_and_lost_its_power_is_told_no_more(rig: BusRig) -> None:
    """As somebody did who was told to use the power switch."""
    rig.fault(send_fails=True)
    rig.give("stop")
    rig.sees(lambda state: "not carried out within 2 s" in state.warning)
    rig.emulator.hear((frames.Id.ENABLE, bytes([7, 1, 0, 0, 0, 0, 0, 0])), 0)
    rig.sees(lambda state: "not carried out" not in state.warning)
    assert rig.emulator.stops == 0


def test_targets_that_cannot_be_sent_are_a_fault_within_100_ms(rig: BusRig) -> None:
    """The best of three, since a machine may stall. Once they can be sent again the arm, which stood, is sent them."""
    took_s: list[float] = []
    for _ in range(3):
        rig.emulator.faults = Faults(send_fails=True)
        while not rig.bus.hub.full:
            rig.target(rig.sees(lambda state: True))
        began_ns = robot_time_ns()
        state = rig.sees(lambda state: state.fault != "")
        took_s.append((state.stamp_ns - began_ns) / 1e9)
        assert state.fault.startswith("targets cannot be sent: No buffer space available [Error Code 105]; unplug its")
        rig.fault()
        rig.sees(lambda state: state.fault == "")
        rig.hears_targets(20)
        assert rig.sees(lambda state: True).fault == ""
    assert min(took_s) < 0.1
