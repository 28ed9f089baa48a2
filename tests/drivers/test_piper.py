"""The Piper driver through the real piper_sdk, on an emulated bus with an emulated arm: start, motion, and every fault named.
Called by pytest; the SDK's threads are real, so these tests take real time, bounded."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import can
import numpy as np
import pytest

from drivers import piper_bus
from drivers import piper_frames as frames
from drivers.arm import ArmState, MotorCommand
from drivers.can_hub import HubBus
from drivers.emulated_bus import EmulatedBus, LeaderBus
from drivers.errors import DriverError
from drivers.piper import PiperArm
from drivers.piper_emulator import Faults, KinematicBody, PiperEmulator, heard_rad
from drivers.piper_frames import Array
from drivers.piper_leader import PiperLeader
from drivers.piper_leader_emulator import PiperLeaderEmulator

_SEEN_S = 2.0  # a loaded machine may be slow; how long it takes is measured by the fault runs


class Rig:
    """An emulated arm in a thread of its own, and the driver."""

    def __init__(self, folder: Path, hand: Callable[[], Array] | None = None) -> None:
        """`hand`: of a leader that leads it."""
        self.emulator = PiperEmulator(KinematicBody(), led=hand is not None)
        self.bus = EmulatedBus(folder / "can", self.emulator, PiperLeaderEmulator(hand) if hand else None)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.bus.run, args=(lambda: not self._stop.is_set(),))
        self._thread.start()
        self.arm = PiperArm("left", str(folder / "can"), "hub", led=hand is not None)

    def fault(self, **changed: Any) -> None:
        """Switch faults."""
        self.emulator.faults = Faults(**changed)

    def ready(self) -> ArmState:
        """The arm connected and enabled; its reading."""
        self.arm.connect()
        self.arm.enable(_SEEN_S)
        return self.reading()

    def reading(self) -> ArmState:
        """The newest one."""
        state = self.arm.read()
        assert state is not None
        return state

    def sees(self, what: Callable[[ArmState], bool]) -> ArmState:
        """Wait for a reading."""
        deadline = time.monotonic() + _SEEN_S
        while not what(self.reading()):
            assert time.monotonic() < deadline, self.reading()
            time.sleep(0.005)
        return self.reading()

    def sees_first(self) -> ArmState:
        """Wait for the first reading of a connection."""
        deadline = time.monotonic() + _SEEN_S
        while self.arm.read() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return self.reading()

    def close(self) -> None:
        """End everything."""
        self.arm.close()
        self._stop.set()
        self._thread.join(5)
        self.bus.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


def test_it_takes_the_arm_where_it_is(rig: Rig) -> None:
    before = rig.emulator.body.reading()[0]
    state = rig.ready()
    np.testing.assert_allclose(state.q[:6], before[:6], atol=1e-5)
    assert rig.emulator.enabled
    reported = heard_rad(rig.emulator.heard)
    assert len(reported) > 0
    np.testing.assert_allclose(reported, np.tile(before[:6], (len(reported), 1)), atol=2e-5)
    assert (state.warning, state.fault) == ("", "")


def test_targets_arrive_as_they_were_sent_and_are_followed(rig: Rig) -> None:
    start = rig.ready().q
    targets = [start + np.array([0.004 * step, 0, 0, 0, 0, 0, -0.0002 * step]) for step in range(1, 51)]
    for target in targets:
        rig.arm.command(target, 0)
        time.sleep(0.005)
    rig.sees(lambda state: abs(state.q[0] - targets[-1][0]) < 1e-3)
    sent = b"".join(data for target in targets for _, data in frames.joints(target[:6]))
    assert b"".join(one.joints for one in rig.emulator.heard[-len(targets) :]) == sent
    rig.sees(lambda state: abs(state.q[6] - min(targets[-1][6], 0.07)) < 1e-3)


def test_readings_are_whole_stamped_and_never_change(rig: Rig) -> None:
    first = rig.ready()
    copy = first.q.copy()
    rig.arm.command(first.q + np.array([0.3, 0, 0, 0, 0, 0, 0]), 0)
    later = rig.sees(lambda state: state.number > first.number + 20)
    np.testing.assert_array_equal(first.q, copy)
    assert later.stamp_ns - first.stamp_ns > 0
    assert time.monotonic_ns() - later.stamp_ns < 1e9
    with pytest.raises(ValueError, match="read-only"):
        later.q[0] = 1
    rig.sees(lambda state: state.dq[0] > 0.05 or abs(state.q[0] - first.q[0] - 0.3) < 1e-3)


def test_the_sdk_is_given_only_frames_that_say_something_new(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what it holds stays right: after a standstill the next movement is read, and after a reopening all of it again."""
    standing = rig.ready()
    parsed: list[int] = []
    parse = rig.arm.sdk.ParseCANFrame
    monkeypatch.setattr(
        rig.arm.sdk, "ParseCANFrame", lambda message: (parsed.append(message.arbitration_id), parse(message))
    )
    later = rig.sees(lambda state: state.number > standing.number + 60)
    parsed_before = len(parsed)
    rig.sees(lambda state: state.number > later.number + 20)
    assert len(parsed) == parsed_before, "20 sets of frames that are all known"
    rig.arm.command(standing.q + np.array([0.3, 0, 0, 0, 0, 0, 0]), 0)
    rig.sees(lambda state: abs(state.q[0] - standing.q[0] - 0.3) < 1e-3)
    assert set(parsed[parsed_before:]) >= {frames.Id.JOINTS, frames.Id.FAST}
    rig.arm.connect()
    reopened = rig.sees_first()
    np.testing.assert_allclose(reopened.q[0], standing.q[0] + 0.3, atol=1e-3)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 4}, "status 4: target angle beyond its limit"),
        ({"status": 1}, "status 1: emergency stop"),
        ({"teaching": True}, "in teach mode"),
        ({"motor_error": 3}, "motor 3 reports: driver error"),
        ({"motor_bits": 1}, "motor 2 reports: voltage too low"),
        ({"motor_bits": 2}, "motor 2 reports: motor too hot"),
        ({"motor_bits": 4}, "motor 2 reports: current too high"),
        ({"motor_bits": 8}, "motor 2 reports: driver too hot"),
        ({"motor_bits": 16}, "motor 2 reports: collision"),
        ({"motor_bits": 128}, "motor 2 reports: stalled"),
        ({"gripper_bits": 4}, "gripper reports: current too high"),
        ({"gripper_bits": 16}, "gripper reports: sensor error"),
        ({"hot_motor": 5}, "motor 5 is at 90 °C"),
        ({"gripper_stuck": True}, "gripper reports: driver error"),
        ({"torn": True}, "joint readings were torn"),
        ({"error_bits": 0x0020}, "joint 6 does not communicate"),
        ({"error_bits": 0x0200}, "joint 2 is outside its range"),
    ],
)
def test_what_the_arm_reports_is_named(rig: Rig, fault: dict[str, Any], said: str) -> None:
    rig.ready()
    rig.fault(**fault)
    assert said in rig.sees(lambda state: state.warning != "").warning
    rig.fault()
    rig.sees(lambda state: state.warning == "")


def test_an_arm_that_leaves_the_control_by_can_is_not_taken_back(rig: Rig) -> None:
    """Somebody may have taken it by hand."""
    start = rig.ready()
    time.sleep(0.1)  # what was sent to enable it has come
    rig.emulator.control = 0
    assert "not in CAN control" in rig.sees(lambda state: state.fault != "").fault
    for _ in range(60):
        rig.arm.command(start.q + 0.05, 0)
        time.sleep(0.002)
    assert rig.emulator.control == 0
    np.testing.assert_allclose(rig.reading().q[:6], start.q[:6], atol=1e-4)


def test_frozen_feedback_keeps_its_values_and_goes_on(rig: Rig) -> None:
    rig.ready()
    rig.fault(frozen=True)
    time.sleep(0.1)
    start = rig.reading()
    rig.arm.command(start.q + np.array([0.2, 0, 0, 0, 0, 0, 0]), 0)
    later = rig.sees(lambda state: state.number > start.number + 100)
    np.testing.assert_array_equal(later.q, start.q)
    assert abs(rig.emulator.body.reading()[0][0] - start.q[0]) > 0.1


@pytest.mark.parametrize("corrupt", [False, True])
def test_limits_are_answered_and_can_be_corrupt(corrupt: bool) -> None:
    arm = PiperEmulator(KinematicBody())
    arm.faults = Faults(corrupt_limits=corrupt)
    arm.hear((frames.Id.ASK_LIMITS, bytes([2, 1]) + bytes(6)), 0)
    (answer,) = [frame for frame in arm.tick(0.005, 0) if frame[0] == frames.Id.LIMITS]
    sound = frames.limits(2, 0.0, 3.14, 3.0)
    assert (answer == sound) is not corrupt


def test_an_arm_does_not_go_to_what_another_program_told_it(rig: Rig) -> None:
    """It kept a target, another way of moving and a slow speed from before; its motors were off."""
    before = rig.emulator.body.reading()[0].copy()
    for number, data in [
        (frames.Id.MODE, bytes([1, 0, 20, 0, 0, 0, 0, 0])),
        *frames.joints(before[:6] + 0.4, frames.Id.JOINT_COMMAND),
    ]:
        rig.emulator.hear((number, data), 0)
    rig.ready()
    time.sleep(0.3)
    np.testing.assert_allclose(rig.reading().q[:6], before[:6], atol=1e-3)
    assert (rig.emulator.control, rig.emulator.move, rig.emulator.speed_percent) == (1, 1, 100)
    rig.arm.command(before + 0.1 * (np.arange(7) == 0), 0)
    rig.sees(lambda state: abs(state.q[0] - before[0] - 0.1) < 1e-3)


def test_states_that_are_told_no_more_are_missed(rig: Rig) -> None:
    """They forbid to run until they come again; nobody has to clear what a busy machine heard late."""
    rig.ready()
    rig.fault(mute=True)
    state = rig.sees(lambda state: state.warning != "")
    assert "reports its joints but not" in state.warning
    assert state.fault == "" and state.powered
    rig.fault()
    rig.sees(lambda state: state.warning == "")


@pytest.mark.parametrize("number", [0x150, 0x151, 0x152, 0x159, 0x470, 0x471, 0x475])
def test_whoever_else_switches_the_arm_is_noticed(rig: Rig, number: int) -> None:
    rig.ready()
    rig.fault(foreign=number)
    assert f"another sender commands it (CAN id 0x{number:03x})" in rig.sees(lambda state: state.fault != "").fault


def test_a_plugged_in_master_is_a_fault(rig: Rig) -> None:
    rig.ready()
    assert rig.reading().fault == ""
    rig.fault(leader=True)
    assert "unplug the leader" in rig.sees(lambda state: state.fault != "").fault


@pytest.mark.parametrize("fault", [{"silent": True}, {"cut": True}])
def test_a_dead_bus_shows_by_age(rig: Rig, fault: dict[str, Any]) -> None:
    rig.ready()
    rig.fault(**fault)
    time.sleep(0.1)
    last = rig.reading()
    time.sleep(0.1)
    assert rig.reading() is last
    rig.arm.command(last.q, 0)  # raises nothing: the age tells


def test_a_reading_thread_that_ends_says_why(rig: Rig) -> None:
    rig.ready()

    def broken(message: Any) -> None:
        raise RuntimeError("not a frame of a Piper")

    rig.arm.sdk.ParseCANFrame = broken
    time.sleep(0.1)
    last = rig.reading()
    rig.arm.report_warning(rig.arm.why_silent(), last.stamp_ns)
    assert "reading thread ended (RuntimeError: not a frame of a Piper)" in rig.reading().warning
    rig.arm.report_warning("late", last.stamp_ns - 1)
    assert "late" not in rig.reading().warning, "there is a newer reading than that"


def test_a_bus_that_is_off_is_the_cause_of_a_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `ip` tells it of a real interface, of which there is none here."""
    tool = tmp_path / "ip"
    tool.write_text("""#!/bin/sh\necho '[{"linkinfo": {"info_data": {"state": "'$STATE'"}}}]'\n""")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for state, said, silence in (
        ("BUS-OFF", "bus-off after too many CAN errors", "no frames on its bus"),
        ("ERROR-ACTIVE", "", "ours are acknowledged: it may be set to lead"),
        ("ERROR-PASSIVE", "", "ours are not acknowledged; check its power"),
    ):
        monkeypatch.setenv("STATE", state)
        arm = PiperArm("left", "can_left")
        assert arm.why_silent().startswith(said) and bool(arm.why_silent()) == bool(said)
        assert silence in str(arm.silence())


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("short", "frame 0x2a5 with 4 bytes"),
        ("empty", "frame 0x2a5 with 0 bytes"),
        ("remote", "a remote frame 0x2a5"),
        ("extended", "an extended frame 0x000002a5"),
        ("error", "an error frame"),
    ],
)
def test_what_is_no_feedback_changes_no_reading_and_is_named(rig: Rig, kind: str, said: str) -> None:
    """The SDK would read joints 1 and 2 as 0, or as what the error's number bears."""
    start = rig.ready().q
    rig.fault(strange=kind)
    assert f"torn frames: {said}" in rig.sees(lambda state: state.warning != "").warning
    until = rig.reading().number + 60
    while (state := rig.reading()).number < until:
        np.testing.assert_allclose(state.q[:6], start[:6], atol=1e-4)
    rig.fault()
    rig.sees(lambda state: state.warning == "")


def test_the_arm_is_not_told_to_stay_where_one_false_reading_has_it(rig: Rig) -> None:
    """Nor where its readings do not agree, nor outside its range."""
    rig.arm.connect()
    before = rig.emulator.body.reading()[0][:6]
    for faults, said in (
        ({"jump_rad": 1.5, "jump_every": 4}, "j1 is not steady"),
        ({"jump_rad": -1.2, "jump_joint": 2}, "j2 is at -0.15 rad, outside its range"),
    ):
        rig.fault(**faults)
        time.sleep(0.1)
        with pytest.raises(DriverError, match=said):
            rig.arm.enable(0.5)
    assert not rig.emulator.heard or np.allclose(heard_rad(rig.emulator.heard), before, atol=2e-5)
    rig.fault()
    time.sleep(0.1)
    rig.arm.enable(_SEEN_S)
    np.testing.assert_allclose(heard_rad(rig.emulator.heard[-1:])[0], before, atol=2e-5)


def held() -> tuple[int, int, int]:
    """Threads, descriptors and SDK objects of this process."""
    from piper_sdk import C_PiperInterface_V2

    instances = C_PiperInterface_V2._instances  # pyright: ignore[reportPrivateUsage]
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir())), len(instances)


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def held_at_last() -> tuple[int, int, int]:
    """What is held once it stays so for a while: the emulated bus sees a participant leave a little later than that leaves."""
    before, since = held(), time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.02)
        if (now := held()) != before:
            before, since = now, time.monotonic()
    return before


@pytest.mark.parametrize("there", [False, True])
def test_a_thousand_retries_leave_nothing(
    there: bool, rig: Rig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """An interface that is missing, and one on which nothing is heard (opened and closed again)."""
    arm = rig.arm if there else PiperArm("right", str(tmp_path / "nowhere"), "hub")
    leader = PiperLeader("right", str(tmp_path / ("can" if there else "nowhere")), "hub", lambda q, stamp_ns: None)
    rig.fault(silent=True)

    def attempt() -> None:
        for each in (arm, leader):
            try:
                each.connect()
            except DriverError:
                assert not there
            each.close()

    for _ in range(20):
        attempt()
    before, before_mib = held_at_last(), resident_mib()
    capfd.readouterr()
    for _ in range(100 if there else 1000):
        attempt()
    assert held_at_last() == before
    assert resident_mib() - before_mib < 5
    assert sum(len(text) for text in capfd.readouterr()) < 1000, "nothing is logged by the SDK"


def test_a_bus_that_was_opened_again_is_heard_at_once_and_alone(rig: Rig) -> None:
    """Nothing of before: neither old readings nor a backlog."""
    rig.ready()
    for _ in range(5):
        rig.arm.close()
        began_ns = time.monotonic_ns()
        rig.arm.connect()
        deadline = time.monotonic() + _SEEN_S
        while (state := rig.arm.read()) is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        assert all(state.stamp_ns >= began_ns for state in rig.arm.newest)
        assert state.number < 40


def test_torn_sets_are_left_out(rig: Rig) -> None:
    rig.ready()
    rig.fault(torn=True)
    before = rig.sees(lambda state: state.warning != "")
    rig.arm.command(before.q + np.array([0.2, 0.2, -0.2, 0, 0, 0, 0]), 0)
    rig.sees(lambda state: abs(state.q[0] - before.q[0] - 0.2) < 1e-3)
    moved = rig.reading().q - before.q
    np.testing.assert_allclose(moved[:3], [0.2, 0.2, -0.2], atol=2e-3)


def test_an_arm_that_comes_late_is_waited_for(rig: Rig) -> None:
    rig.fault(late_enable_s=0.3)
    rig.ready()
    assert rig.emulator.enabled


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"late_enable_s": 60.0}, r"motors \[1, 2, 3, 4, 5, 6\] did not switch on"),
        ({"status": 7}, "status 7: collision; free the arm, then send `clear`; not enabled"),
        ({"teaching": True}, "in teach mode"),
        ({"corrupt_limits": True}, "the stored limits of motor 1 are corrupt"),
    ],
)
def test_an_arm_that_is_not_fit_is_not_enabled(rig: Rig, fault: dict[str, Any], said: str) -> None:
    rig.fault(**fault)
    rig.arm.connect()
    time.sleep(0.1)
    before = rig.emulator.body.reading()[0][:6]
    with pytest.raises(DriverError, match=said):
        rig.arm.enable(0.5)
    reported = heard_rad(rig.emulator.heard) if rig.emulator.heard else before[None]
    np.testing.assert_allclose(reported, np.tile(before, (len(reported), 1)), atol=2e-5, err_msg="at most where it is")


def test_nobody_at_the_other_end_is_one_line(rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="the CAN bus cannot be opened"):
        PiperArm("right", str(tmp_path / "nowhere"), "hub").connect()
    rig.fault(silent=True)
    rig.arm.connect()
    with pytest.raises(DriverError, match=r"left arm on .*: no feedback yet; check the process that emulates it"):
        rig.arm.enable(0.2)


def test_an_arm_to_which_nothing_can_be_sent_is_not_called_broken(rig: Rig) -> None:
    """Neither is its firmware to blame, nor is an arm that was on already taken for one that stays where it is."""
    rig.arm.connect()
    rig.fault(send_fails=True)
    rig.sees_first()
    said = r"frames cannot be sent: No buffer space available \[Error Code 105\]; unplug its USB-CAN adapter and plug"
    for _ in range(2):
        with pytest.raises(DriverError, match=said):
            rig.arm.enable(0.8)
        assert not rig.arm.powered and not rig.emulator.heard
        rig.emulator.enabled, rig.emulator.control, rig.emulator.move = True, 1, 1
    rig.fault()
    rig.arm.enable(_SEEN_S)


class LostFrames:
    """Loses some of the frames that a bus is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lost = 0
        self.given = 0
        send = HubBus.send

        def counted(bus: HubBus, msg: Any, timeout: float | None = None) -> None:
            self.given += 1
            if self.lost:
                self.lost -= 1
                raise can.CanOperationError("Transmit buffer full")
            send(bus, msg, timeout)

        monkeypatch.setattr(HubBus, "send", counted)


def test_one_target_that_could_not_be_sent_is_made_up_for_by_the_next(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of the newest twenty are a fault, whichever of a target's frames it was."""
    start = rig.ready()
    frames = LostFrames(monkeypatch)
    for round_ in range(3):
        frames.lost = round_ + 1  # of one target
        for _ in range(20):
            rig.arm.command(start.q, 0)
    assert frames.given >= 60 * 4
    number = rig.reading().number
    assert rig.sees(lambda state: state.number > number + 3).fault == ""
    for _ in range(2):
        frames.lost = 1
        for _ in range(19):
            rig.arm.command(start.q, 0)
    said = "targets cannot be sent: Transmit buffer full; unplug its USB-CAN adapter and plug it in again"
    assert rig.sees(lambda state: state.fault != "").fault == said
    rig.sees(lambda state: state.fault == "")
    rig.arm.command(start.q, 0)
    number = rig.reading().number
    assert rig.sees(lambda state: state.number > number + 3).fault == "", "it is over"


def test_a_new_connection_begins_without_the_faults_of_the_last(rig: Rig) -> None:
    state = rig.ready()
    rig.fault(send_fails=True)
    time.sleep(0.02)
    for _ in range(3):
        rig.arm.command(state.q, 0)
    rig.sees(lambda state: "targets cannot be sent" in state.fault)
    rig.fault()
    time.sleep(0.02)
    rig.arm.connect()
    assert rig.sees_first().fault == ""


@pytest.mark.parametrize("fault", [{"send_fails": True}, {"deaf": True}])
def test_what_a_command_makes_of_an_arm_shows_once_it_has_come(rig: Rig, fault: dict[str, Any]) -> None:
    rig.ready()
    commands: dict[MotorCommand, Callable[[], None]] = {
        "stop": rig.arm.stop, "reset": rig.arm.reset, "release": rig.arm.release
    }  # fmt: skip
    for command, how in commands.items():
        if command == "release":
            rig.arm.enable(_SEEN_S)
        rig.fault(**fault)
        time.sleep(0.02)
        how()
        time.sleep(0.1)
        assert not rig.arm.shows(command)
        assert rig.arm.send_error == ("No buffer space available [Error Code 105]" if "send_fails" in fault else "")
        rig.fault()
        time.sleep(0.02)
        how()
        time.sleep(0.1)
        assert rig.arm.shows(command) and rig.arm.send_error == ""


def test_what_an_arm_reported_on_an_earlier_connection_shows_nothing(rig: Rig) -> None:
    rig.ready()
    rig.arm.stop()
    rig.sees(lambda state: "emergency stop" in state.warning)
    assert rig.arm.shows("stop")
    rig.fault(silent=True)
    rig.arm.connect()
    assert not any(rig.arm.shows(command) for command in get_args(MotorCommand))
    rig.fault()
    rig.sees_first()
    rig.sees(lambda state: rig.arm.shows("stop") and rig.arm.shows("enable"))


def test_a_stop_ends_the_following_and_closing_leaves_the_arm_on(rig: Rig) -> None:
    start = rig.ready()
    rig.arm.stop()
    assert "emergency stop" in rig.sees(lambda state: state.warning != "").warning
    rig.arm.command(start.q + 0.1, 0)
    time.sleep(0.1)
    np.testing.assert_allclose(rig.reading().q[:6], start.q[:6], atol=1e-4)
    rig.arm.close()
    assert rig.emulator.enabled


def test_release_takes_the_power(rig: Rig) -> None:
    rig.ready()
    rig.arm.release()
    deadline = time.monotonic() + _SEEN_S
    while rig.emulator.enabled and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not rig.emulator.enabled


@pytest.fixture
def led(tmp_path: Path) -> Iterator[Rig]:
    """A follower that its leader leads, on the same bus."""
    made = Rig(tmp_path, lambda: np.linspace(0.1, 0.6, 7) * (1, 1, -1, 1, 1, 1, 0.1))
    yield made
    made.close()


def test_a_led_arm_is_listened_to_with_its_master(led: Rig) -> None:
    led.arm.connect()
    deadline = time.monotonic() + _SEEN_S
    while led.arm.read() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    state = led.sees(lambda state: state.leader is not None and np.abs(state.q - state.leader).max() < 1e-3)
    assert state.leader is not None
    np.testing.assert_allclose(state.leader[:6], np.linspace(0.1, 0.6, 7)[:6] * (1, 1, -1, 1, 1, 1), atol=2e-5)
    assert state.leader[6] == pytest.approx(0.06)
    assert abs(state.leader_ns - state.stamp_ns) < 1_000_000_000
    assert not state.warning and not state.fault and not state.powered


def test_a_led_arm_is_never_commanded(led: Rig) -> None:
    led.arm.connect()
    with pytest.raises(DriverError, match="unplug the leader"):
        led.arm.command(np.zeros(7), 0)
    with pytest.raises(DriverError, match="unplug the leader"):
        led.arm.enable(0.1)


def test_an_arm_that_nobody_leads_has_no_master(rig: Rig) -> None:
    assert rig.ready().leader is None


def test_a_master_on_its_own_bus_says_where_it_is_led(tmp_path: Path) -> None:
    hand = np.linspace(0.1, 0.6, 7) * (1, 1, -1, 1, 1, 1, 0.1)
    bus, heard = LeaderBus(tmp_path / "can", PiperLeaderEmulator(lambda: hand)), list[tuple[Array, int]]()
    leader = PiperLeader("left", str(tmp_path / "can"), "hub", lambda q, stamp_ns: heard.append((q, stamp_ns)))
    leader.connect()
    deadline = time.monotonic() + _SEEN_S
    while len(heard) < 3 and time.monotonic() < deadline:
        bus.step()
        time.sleep(0.005)
    leader.close()
    bus.close()
    np.testing.assert_allclose(heard[-1][0], hand, atol=2e-5)
    assert heard[0][1] < heard[-1][1] <= time.monotonic_ns()


def test_a_master_without_a_bus_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match=r"left leader on .*: the CAN bus cannot be opened"):
        PiperLeader("left", str(tmp_path / "nowhere"), "hub", lambda q, stamp_ns: None).connect()


def test_an_arm_that_leads_is_no_arm_without_power(rig: Rig) -> None:
    """It sends its feedback at other numbers; before, it was said to be silent."""
    rig.fault(leads="feedback")
    rig.arm.connect()
    time.sleep(0.2)
    assert rig.arm.read() is None
    said = "it is set to lead: its feedback comes as 0x3a1, 0x3a2, 0x3a3, 0x3a4, ...; set it to follow with the vendor's tool"
    assert rig.arm.why_silent().startswith(said) and str(rig.arm.silence()).startswith(said)


def test_an_arm_that_is_set_to_lead_while_it_runs_says_so_in_its_last_reading(rig: Rig) -> None:
    rig.ready()
    assert rig.arm.why_silent() == ""
    rig.fault(leads="feedback")
    time.sleep(0.2)
    last = rig.reading()
    rig.arm.report_warning(rig.arm.why_silent(), last.stamp_ns)
    assert rig.reading().warning.startswith("it is set to lead: its feedback comes as 0x3a1")
    rig.fault()
    assert rig.sees(lambda state: state.stamp_ns > last.stamp_ns).warning == ""


def test_a_bus_without_anything_says_what_may_be_meant(rig: Rig) -> None:
    rig.fault(leads="silent")
    rig.arm.connect()
    time.sleep(0.2)
    assert rig.arm.why_silent() == "", "the age of the feedback tells"
    assert str(rig.arm.silence()).startswith("no frames on its bus; check its power")
    assert "an arm that is set to lead is silent: set it to follow" in rig.arm.silence().remedy


def test_a_bus_that_hangs_in_opening_is_named_and_opened_once_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody accepts its connection, as where an adapter's driver hangs."""
    monkeypatch.setattr(piper_bus, "_CALL_S", 0.3)
    path, others = tmp_path / "can", list[socket.socket]()
    hanging = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    hanging.bind(str(path))
    hanging.listen(0)
    others.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
    others[0].connect(str(path))
    arm, threads = PiperArm("right", str(path), "hub"), threading.active_count()
    for _ in range(3):
        with pytest.raises(DriverError, match=r"opening the CAN bus hung .*; unplug its USB-CAN adapter and plug"):
            arm.connect()
    assert threading.active_count() == threads + 1, "one is left behind, not one a try"
    for end in (hanging, *others):
        end.close()
    path.unlink()
    bus = EmulatedBus(path, PiperEmulator(KinematicBody()))
    deadline = time.monotonic() + _SEEN_S
    while threading.active_count() > threads:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    arm.connect()
    while arm.read() is None and time.monotonic() < deadline:
        bus.step()
        time.sleep(0.005)
    assert arm.read() is not None
    arm.close()
    bus.close()


def test_a_bus_that_hangs_in_reading_is_let_go(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.ready()
    monkeypatch.setattr(piper_bus, "_CALL_S", 0.3)
    hangs, began = threading.Event(), time.monotonic()
    monkeypatch.setattr(HubBus, "_recv_internal", lambda bus, timeout: (None, hangs.wait()))
    time.sleep(0.1)
    rig.arm.close()
    with pytest.raises(DriverError, match="reading the CAN bus hung"):
        rig.arm.connect()
    assert time.monotonic() - began < 2
    monkeypatch.undo()
    hangs.set()
    rig.ready()
