"""Which targets an arm's CAN process forwards, and the simulated robot behind emulated buses and the SDK. Called by pytest."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pytest
from live_run import LIGHTEST, START_S, LiveRun

from drivers.arm import MotorCommand
from drivers.arm_link import ArmCommand
from runtime.config.loading import load_settings
from runtime.devices import can_bus
from runtime.devices.can_bus_step import Arm, CanBusState, step, stream_of
from runtime.faults import can_audit
from runtime.host.clock import robot_time_ns, seconds
from runtime.messaging import messages
from runtime.process.fault_injection import NAME
from runtime.session import reader

NOW_NS = 10_000_000_000
Kind = TypeVar("Kind", bound=messages.Message)


Q = np.zeros(7)


WAITED_NS = seconds(0.0025)  # for a target after it was due


def at(*distances: float, fault: str = "") -> Arm:
    """An arm that is on, whose last readings have all of its joints so far from zero, where the targets are."""
    newest = tuple(np.full(7, distance) for distance in distances)
    return Arm(True, fault, newest, newest[-1] if newest else Q)


def begun(obeyed: int = 0) -> CanBusState:
    """Of a process that has just begun, at 200 Hz."""
    return CanBusState(obeyed, stream=stream_of(load_settings([]), "left"))


@pytest.fixture
def state() -> CanBusState:
    return begun()


def test_motors_are_switched_only_by_order_and_tried_again_until_they_are_on() -> None:
    state = begun(obeyed=3)
    assert step(state, ArmCommand(Q, NOW_NS, 3, ("enable",) * 3), Arm(False), NOW_NS) == ""
    assert step(state, ArmCommand(Q, 0, 4, ("enable",) * 4), Arm(False), NOW_NS) == "enable"
    assert step(state, ArmCommand(Q, 0, 4, ("enable",) * 4), Arm(False), NOW_NS + seconds(0.01)) == ""
    assert step(state, ArmCommand(Q, 0, 4, ("enable",) * 4), Arm(False), NOW_NS + seconds(0.05)) == "enable"
    now_ns = NOW_NS + seconds(0.06)
    assert step(state, ArmCommand(Q, now_ns - WAITED_NS, 4, ("enable",) * 4), Arm(True), now_ns) == "send"
    assert step(state, ArmCommand(Q, now_ns, 4, ("enable",) * 4), Arm(False), now_ns) == "", (
        "lost again: not taken back by itself"
    )


def test_it_gives_up_once() -> None:
    state, command = begun(), ArmCommand(Q, 0, 1, ("enable",) * 1)
    assert step(state, command, Arm(False), NOW_NS) == "enable"
    assert step(state, command, Arm(False), NOW_NS + seconds(3.1)) == "give up"
    assert step(state, command, Arm(False), NOW_NS + seconds(3.2)) == ""


@pytest.mark.parametrize("motor_command", ["stop", "release", "reset"])
def test_other_orders_are_carried_out_and_end_the_switching_on(motor_command: MotorCommand) -> None:
    state = begun()
    assert step(state, ArmCommand(Q, 0, 1, ("enable",) * 1), Arm(False), NOW_NS) == "enable"
    assert (
        step(state, ArmCommand(Q, 0, 2, ("enable", motor_command)), Arm(False), NOW_NS + seconds(0.1)) == motor_command
    )
    shown = Arm(False, done=True)
    assert step(state, ArmCommand(Q, 0, 2, ("enable", motor_command)), shown, NOW_NS + seconds(0.2)) == ""
    assert step(state, ArmCommand(Q, 0, 2, ("enable", motor_command)), Arm(False), NOW_NS + seconds(0.3)) == ""


@pytest.mark.parametrize("motor_command", ["stop", "release", "reset"])
def test_targets_go_on_while_an_order_is_repeated(motor_command: MotorCommand) -> None:
    """The braking of an arm that is to stop; one that is released is sent nothing: its driver calls it off."""
    state, sent = begun(), list[str]()
    for ms in range(150):  # one a millisecond; a target every five
        now_ns, stamp_ns = (NOW_NS + seconds(0.001 * age) for age in (ms, ms // 5 * 5))
        sent.append(step(state, ArmCommand(Q, stamp_ns, 1, (motor_command,)), Arm(True), now_ns))
    assert [ms for ms, action in enumerate(sent) if action == motor_command] == [0, 50, 100]
    assert sent.count("send") == 30


def test_orders_that_come_at_once_are_all_carried_out_but_to_switch_on() -> None:
    """A late tick of `arms`, or a look that took long, may find several."""
    state, command = begun(), ArmCommand(Q, 0)
    for motor_command in ("enable", "stop", "reset"):
        command = command.with_motor_command(motor_command)
    assert [step(state, command, Arm(False), NOW_NS) for _ in range(4)] == ["stop", "reset", "", ""]
    for motor_command in ("release", "enable"):
        command = command.with_motor_command(motor_command)
    assert [step(state, command, Arm(False), NOW_NS) for _ in range(2)] == ["release", "enable"]
    for _ in range(9):
        command = command.with_motor_command("stop")
    assert [step(state, command, Arm(False), NOW_NS) for _ in range(6)] == ["stop"] * 4 + ["", ""]
    assert state.obeyed == command.number


@pytest.mark.parametrize(
    ("sent_s", "asked_s", "goes_on"), [(0.01, None, True), (0.01, 0.5, True), (0.06, 0.2, False), (0.01, 1.0, False)]
)
def test_who_was_asked_to_end_sends_while_the_arm_brakes(sent_s: float, asked_s: float | None, goes_on: bool) -> None:
    """Ages of what was sent last, and of the wish to end; the arm stands."""
    stream, now_ns = begun().stream, robot_time_ns()
    assert not can_bus._brakes(stream, 0), "nothing was ever sent"  # pyright: ignore[reportPrivateUsage]
    stream.begin(Q, now_ns - seconds(sent_s))
    asked_ns = 0 if asked_s is None else now_ns - seconds(asked_s)
    assert can_bus._brakes(stream, asked_ns) is goes_on  # pyright: ignore[reportPrivateUsage]


def test_an_arm_that_moves_is_braked_to_the_end_though_all_were_asked_to_end() -> None:
    """`arms` may be gone first."""
    state, now_ns = begun(), robot_time_ns() - seconds(0.08)
    moving = ArmCommand(np.full(7, 1e-5), now_ns, 0, (), np.full(7, 0.002), np.full(7, 0.4))
    assert step(state, ArmCommand(Q, now_ns - seconds(0.005)), Arm(True), now_ns - WAITED_NS) == "send"
    assert step(state, moving, Arm(True), now_ns + WAITED_NS) == "send"
    assert can_bus._brakes(state.stream, now_ns)  # pyright: ignore[reportPrivateUsage]


def test_a_target_is_sent_once_and_only_while_it_is_fresh(state: CanBusState) -> None:
    """Half a tick after it was due."""
    assert step(state, ArmCommand(Q, NOW_NS), Arm(True), NOW_NS + seconds(0.002)) == ""
    assert step(state, ArmCommand(Q, NOW_NS), Arm(True), NOW_NS + seconds(0.003)) == "send"
    assert step(state, ArmCommand(Q, NOW_NS), Arm(True), NOW_NS + seconds(0.004)) == ""
    assert step(state, ArmCommand(Q, NOW_NS + seconds(0.005)), Arm(True), NOW_NS + seconds(0.054)) == "send"
    assert step(state, ArmCommand(Q, NOW_NS + seconds(0.010)), Arm(True), NOW_NS + seconds(0.061)) == ""
    assert step(begun(), ArmCommand(Q, 0), Arm(True), NOW_NS) == "", "there is no target yet"


def test_an_arm_whose_targets_stop_coming_is_braked(state: CanBusState) -> None:
    """Whatever became of `arms`: step by step, within its limits, until it stands."""
    first, (q, dq, ddq), now_ns = np.arange(7) == 0, np.zeros((3, 7)), NOW_NS
    for tick in range(1, 60):  # joint 1 speeds up to 0.25 rad/s
        ddq = first * min(ddq[0] + 0.5, 1.0) if tick < 50 else first * max(ddq[0] - 0.5, 0.0)
        dq = dq + ddq * 0.005
        q = q + dq * 0.005
        now_ns = NOW_NS + tick * seconds(0.005)
        assert step(state, ArmCommand(q, now_ns, 0, (), dq, ddq), Arm(True), now_ns + WAITED_NS) == "send"
        assert np.array_equal(state.stream.q, q)
    sent = [state.stream.q.copy()]
    for tick in range(60, 100):
        if step(state, ArmCommand(q, now_ns), Arm(True), NOW_NS + tick * seconds(0.005) + WAITED_NS) == "send":
            sent.append(state.stream.q.copy())
    speed = np.diff(np.array(sent)[:, 0]) / 0.005
    assert 10 < len(sent) < 30 and abs(speed[-1]) < 0.01 and (np.diff(speed) < 1e-3).all()
    assert np.abs(np.diff(speed)).max() / 0.005 <= 5.0


def test_an_arm_with_a_fault_is_told_nothing(state: CanBusState) -> None:
    """To enable it may be tried: a status about a target ends with the next good one, which the driver sends then."""
    now_ns = NOW_NS + WAITED_NS
    assert step(state, ArmCommand(Q, NOW_NS), Arm(True, "status 4"), now_ns) == ""
    assert step(state, ArmCommand(Q, NOW_NS, 1, ("enable",) * 1), Arm(True, "status 4"), now_ns) == "enable"
    assert step(state, ArmCommand(Q, NOW_NS, 1, ("enable",) * 1), Arm(True), now_ns) == "send"


@pytest.mark.parametrize("apart", [(0.21,), (0.0, 0.21, 0.0), ()])
def test_a_fault_that_ends_by_itself_lets_no_arm_jump(state: CanBusState, apart: tuple[float, ...]) -> None:
    """It may have been led away meanwhile, by its teach button or a leader arm: it goes on from where it is."""
    assert step(state, ArmCommand(Q, NOW_NS), Arm(True), NOW_NS + WAITED_NS) == "send"
    now_ns = NOW_NS + seconds(0.01)
    assert step(state, ArmCommand(Q, now_ns), at(*apart, fault="in teach mode"), now_ns + WAITED_NS) == ""
    for tick in range(2, 40):
        now_ns = NOW_NS + seconds(0.01 * tick)
        assert step(state, ArmCommand(Q, now_ns), at(*apart), now_ns + WAITED_NS) == "too far"
    now_ns += seconds(0.005)
    assert step(state, ArmCommand(Q, now_ns), at(0.19), now_ns + WAITED_NS) == "send"
    assert np.abs(state.stream.q - 0.19).max() < 5.0 * 0.005**2, "from where it is, from rest"
    now_ns += seconds(0.005)
    assert step(state, ArmCommand(Q, now_ns), at(0.5), now_ns + WAITED_NS) == "send", "it may lag behind"


@pytest.mark.parametrize(("gap_s", "then"), [(0.14, "send"), (0.16, "too far")])
def test_a_process_that_stood_still_lets_no_arm_jump(state: CanBusState, gap_s: float, then: str) -> None:
    assert step(state, ArmCommand(Q, NOW_NS), Arm(True), NOW_NS + WAITED_NS) == "send"
    now_ns = NOW_NS + seconds(gap_s)
    assert step(state, ArmCommand(np.full(7, 0.3), now_ns), at(0.0), now_ns + WAITED_NS) == then
    assert np.abs(state.stream.q).max() < 5.0 * 0.005**2


def test_the_first_target_is_where_the_arm_is(state: CanBusState) -> None:
    assert step(state, ArmCommand(Q, NOW_NS), at(0.3), NOW_NS + WAITED_NS) == "too far"


def looks(state: CanBusState, arm: Arm, places: Sequence[float], late_s: float, from_tick: int = 0) -> list[str]:
    """What comes of looks in step with `arms`: a target for each tick, seen so long after it was due."""
    found: list[str] = []
    for tick, place in enumerate(places, from_tick):
        due_ns = NOW_NS + tick * seconds(0.005)
        found.append(step(state, ArmCommand(np.full(7, place), due_ns), arm, due_ns + seconds(late_s)))
    return found


@pytest.mark.parametrize("late_s", [0.0, 0.001, 0.0024])
def test_a_bus_that_looks_in_step_with_the_arms_begins_all_the_same(late_s: float) -> None:
    """Each target is early when it is seen; also after the arm has lost its power, and after targets have stopped coming."""
    state = begun()
    assert looks(state, at(0.0), [0.0] * 4, late_s) == ["", "send", "send", "send"]
    assert step(state, ArmCommand(Q, 0), Arm(False), NOW_NS + seconds(0.021)) == ""
    assert looks(state, at(0.0), [0.0] * 4, late_s, 10) == ["", "send", "send", "send"]
    assert looks(state, at(0.0), [0.0] * 4, late_s, 100)[1:] == ["send"] * 3


def test_of_targets_that_are_early_each_is_judged_by_its_own_distance() -> None:
    """The one that waited is sent, not the newest one that is seen then."""
    assert looks(begun(), at(0.0), [0.21, 0.0, 0.0, 0.0], 0.001) == ["", "too far", "", "send"]
    assert looks(begun(), at(0.0), [0.0, 0.21, 0.21], 0.001)[:2] == ["", "send"]


@dataclass(frozen=True)
class Driven:
    """A run behind emulated buses that stood in HOLD under false readings until `well_ns`, and then moved for a while."""

    run: LiveRun
    well_ns: int
    log: Sequence[messages.Message]

    def of(self, kind: type[Kind], moving: bool) -> list[Kind]:
        """Messages of its first or its second part."""
        return [m for m in self.log if isinstance(m, kind) and (m.stamp_ns >= self.well_ns) is moving]


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Driven:
    """Through the real SDK. False are single readings, every third one, and frames that are no feedback."""
    with LiveRun(tmp_path_factory.mktemp("can"), "--can", "--arms.start", "hold", *LIGHTEST) as run:
        run.wait_for("HOLD", START_S)
        well_ns = 0
        for faults in (
            {"left": {"jump_rad": 1.5, "jump_every": 100}, "right": {"jump_joint": 2, "jump_rad": -1.2, "jump_every": 100}},
            {"left": {"jump_joint": 6, "jump_rad": 6.28, "jump_every": 3}, "right": {"strange": "short"}},
            {},
        ):  # fmt: skip
            well_ns = robot_time_ns()
            (run.folder / NAME).write_text(json.dumps(faults))
            time.sleep(2.0)
        for name in ("clear", "arm", "run"):
            run.command(name)
        run.wait_for("RUNNING", START_S)
        time.sleep(4.0)
        assert run.end() == 0
    return Driven(run, well_ns, [message for _, message, _ in reader.decode_all(reader.read(run.session))])


@pytest.mark.live
@pytest.mark.real_time(decided_by="tests/runtime/bench/test_fuzz.py::test_nothing_that_breaks_a_limit_reaches_a_bus")
def test_the_simulated_robot_is_driven_through_the_real_sdk(driven: Driven) -> None:
    for side in can_audit.compare(driven.run.session).values():
        assert side["equal"] > 100  # the others are steps of a stop, where a tick came late
    table = json.loads(driven.run.json.read_text())
    assert min(table["arm_path_rad"]) > 0.05
    assert table["fault_reports"] == 0, "since they run"


@pytest.mark.live
@pytest.mark.real_time(
    decided_by="tests/runtime/arms/test_feedback.py::test_one_false_reading_is_used_for_nothing_and_is_named"
)
def test_false_readings_of_the_emulated_arms_move_nothing(driven: Driven) -> None:
    sent = np.array([message.q for message in driven.of(messages.ArmTarget, moving=False) if message.sent])
    assert len(sent) > 200
    np.testing.assert_array_equal(np.ptp(sent, axis=0), np.zeros(messages.JOINTS))
    command = [message.text for message in driven.of(messages.Fault, moving=False) if message.name == "reading"]
    assert any(text.startswith("left arm: reading jumped: j1 by 1.50 rad") for text in command), command
    read = np.array([message.q for message in driven.of(messages.JointState, moving=False) if message.heard])
    assert np.ptp(read, axis=0).max() < 0.2, "no false reading is passed on"
