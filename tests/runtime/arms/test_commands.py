"""Every order in every mode: obeyed or refused with the reason, and what the motors are told. Called by pytest."""

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, get_args

import pytest
from arms_rig import Rig

from runtime.arms.commands import COMMANDS, STOPPED, Arms, obey
from runtime.arms.modes import Latched, StateMachine, Status, Wanted
from runtime.messaging import messages
from runtime.process import snapshot

Build = Callable[..., Any]
Command = Callable[..., messages.OperatorCommand]
WAITS = Arms(waits=True)
MODES: tuple[messages.Mode, ...] = get_args(messages.Mode)
NAMES: tuple[messages.CommandName, ...] = get_args(messages.CommandName)


@pytest.fixture
def command(build: Build) -> Command:
    return lambda name, confirmed=False: build(messages.OperatorCommand, command=name, confirmed=confirmed)


def armed(mode: messages.Mode, forbidden: tuple[str, ...] = (), power: bool = False, **latched: Any) -> StateMachine:
    wanted = Wanted(arm=mode != "DISARMED", power=power, run=mode == "RUNNING")
    return StateMachine(wanted, Latched(**latched), Status(mode, forbidden=forbidden))


def reported(machine: StateMachine, command: messages.OperatorCommand, arms: Arms) -> StateMachine:
    """After an order that is obeyed and tells the motors nothing."""
    machine, motor_command, why = obey(machine, command, arms)
    assert (motor_command, why) == (None, "")
    return machine


def refused(machine: StateMachine, command: messages.OperatorCommand, arms: Arms) -> str:
    """Why."""
    after, motor_command, why = obey(machine, command, arms)
    assert after is machine and motor_command is None and why
    return why


def states() -> Iterator[StateMachine]:
    """Every mode with all that commands ask and change."""
    flags = itertools.product((False, True), repeat=8)
    for mode, (fault, stopped, held, arm, run, takeover, way, forbidden) in itertools.product(MODES, flags):
        yield StateMachine(
            Wanted(arm, power=arm, run=run, first_run=run, takeover=takeover, pose="ready" if way else ""),
            Latched("left arm: motor 3 is hot" if fault else "", stopped, False, held, ("the page was lost",)),
            Status(mode, forbidden=("camera head: frozen",) if forbidden else ()),
        )


def situations() -> Iterator[Arms]:
    """All ways that both arms can be in when an order comes."""
    for rest, stopped, silent, outside, waits, unfit, own in itertools.product((False, True), repeat=7):
        silence, reading = ("left arm: silent",) if silent else (), ("left arm: j2 reads -1.20 rad",) if outside else ()
        yield Arms(rest, stopped, silence, reading, waits, "bus left is down" if unfit else "", own)


def test_every_command_is_in_the_table() -> None:
    assert set(COMMANDS) == set(NAMES)


@pytest.mark.parametrize("confirmed", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_refused_command_changes_nothing_and_none_changes_the_mode(
    name: messages.CommandName, confirmed: bool, command: Command
) -> None:
    """In every state, with some of the ways that the arms can be in; what refuses it is tested below."""
    given, seen = command(name, confirmed), set[bool]()
    arms = tuple(situations())
    for index, machine in enumerate(states()):
        for found in arms[index % 37 :: 37]:
            after, motor_command, why = obey(machine, given, found)
            seen.add(why == "")
            assert after.status is machine.status
            assert why == "" or (after is machine and motor_command is None)
    never = {("stop", False), ("release", False)}
    always = {("hold", False), ("hold", True), ("stop", True)}
    assert seen == {(name, confirmed) in always} if (name, confirmed) in never | always else {False, True}


def in_mode(mode: messages.Mode, build: Build) -> Rig:
    """Arms that came into it by the real step."""
    flags = {"DISARMED": ("--arms.start", "disarmed"), "TAKEOVER": ("--can", "--arms.leaders", "own")}
    rig = Rig(build, "--no-arms.auto_resume", *flags.get(mode, ()))
    rig.run(0.5)
    if mode == "HOLD":
        rig.tick(rig.command("hold"))
    elif mode == "FAULT":
        rig.tick(refused=1)
    elif mode == "TAKEOVER":
        rig.tick(rig.command("takeover"))
        rig.run(0.5, chunk_every_s=None)
        stamps, q = (rig.now_ns, rig.now_ns), rig.measured.copy()
        rig.tick(build(messages.LeaderState, stamp_ns=rig.now_ns, q=q, measured_ns=stamps, exceeds=()))
    assert rig.mode == mode
    return rig


REFUSED: dict[messages.Mode, str] = {
    "DISARMED": "run takeover stop ready rest release",
    "HOLD": "run takeover stop release",
    "RUNNING": "takeover stop release",
    "TAKEOVER": "stop release",
    "FAULT": "run takeover stop ready rest release",
}


@pytest.mark.parametrize("mode", MODES)
def test_a_refused_command_changes_nothing_but_the_answer(mode: messages.Mode, build: Build) -> None:
    """Of two arms processes one hears it, and goes on as the other does."""
    rig = in_mode(mode, build)
    for name in REFUSED[mode].split():
        hears, hears_not = copy.deepcopy(rig), copy.deepcopy(rig)
        made = hears.tick(hears.command(name))
        hears_not.tick()
        assert made.state is not None and made.state.answer == hears.state.answer != "", name
        for one in (hears, hears_not):
            one.run(0.2)
            one.state = replace(one.state, obeyed=(), answered=(-1, -1), answer="", safety_seq=0, said_ns=0)
        assert snapshot.pack(hears.state) == snapshot.pack(hears_not.state), name
        assert [made.motor_commands for made in hears.outputs] == [made.motor_commands for made in hears_not.outputs]


@pytest.mark.parametrize("mode", MODES)
def test_arm_run_and_hold_are_wishes(mode: messages.Mode, command: Command) -> None:
    machine = reported(armed(mode), command("arm"), Arms())
    assert (machine.wanted.arm, machine.wanted.power) == (True, True)
    machine = reported(machine.want(pose="rest"), command("run"), WAITS)
    assert (machine.wanted.run, machine.wanted.pose) == (True, "")
    machine = reported(machine.want(pose="ready"), command("hold"), Arms())
    assert (machine.wanted.run, machine.wanted.pose, machine.mode) == (False, "", mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("forbidden", [(), ("camera head: frozen",)])
def test_a_robot_runs_at_once_or_not_at_all(mode: messages.Mode, forbidden: tuple[str, ...], command: Command) -> None:
    """Nobody may stand near arms that begin to move when a cable is plugged in, or when somebody else arms them."""
    machine = armed(mode, forbidden)
    if mode == "RUNNING" or (mode in ("HOLD", "TAKEOVER") and not forbidden):
        assert reported(machine, command("run"), Arms()).wanted.run
        return
    why = refused(machine, command("run"), Arms())
    assert any(text in why for text in ("not armed", mode, "camera head: frozen; fix it"))


def test_an_operators_run_does_not_wait_in_place_of_the_first_one(command: Command) -> None:
    """The run that the program begins by itself waits for what forbids it; it is still to come when somebody held before."""
    machine = reported(armed("HOLD").want(run=True, first_run=True), command("hold"), Arms())
    machine = reported(reported(machine, command("arm"), Arms()), command("run"), Arms())
    assert machine.wanted.run and not machine.wanted.first_run


def test_who_was_held_is_armed_anew(command: Command) -> None:
    machine = armed("HOLD")
    for arms in (Arms(own_leaders=True), replace(WAITS, own_leaders=True)):
        machine = reported(reported(machine, command("hold"), arms), command("hold"), arms)
        for name in ("run", "takeover"):
            assert refused(machine, command(name), arms) == f"held by the operator; send `arm`, then `{name}`"
        machine = reported(reported(machine, command("arm"), arms), command("run"), arms)
        assert machine.wanted.run


def test_motors_are_not_switched_on_later(command: Command) -> None:
    arms = Arms(silent=("left arm: feedback is 2000 ms old",))
    assert (
        refused(armed("DISARMED"), command("arm"), arms) == "left arm: feedback is 2000 ms old, then send `arm` again"
    )
    assert (
        refused(armed("DISARMED"), command("arm"), Arms(outside=("left arm: j2",)))
        == "left arm: j2, then send `arm` again"
    )


def test_nothing_runs_with_a_fault(command: Command) -> None:
    machine = armed("FAULT", fault="left arm: motor 3 is hot")
    assert refused(machine, command("run"), WAITS) == "left arm: motor 3 is hot; send `clear`, then `run`"
    never = machine.latch(never_armed=True)
    assert refused(never, command("run"), WAITS) == "left arm: motor 3 is hot; send `clear`, then `arm`"
    stop = machine.latch(fault=STOPPED)
    assert refused(stop, command("run"), WAITS) == STOPPED, "a fault that says how it is cleared is not contradicted"
    machine = reported(machine, command("clear"), Arms())
    assert reported(machine, command("run"), WAITS).wanted.run, "as the terminal's r does"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["ready", "rest", "takeover"])
def test_only_armed_arms_move_to_a_pose_or_are_led(name: str, mode: messages.Mode, command: Command) -> None:
    """And what ended such a way before is not said any longer; the policy does not run meanwhile."""
    machine, arms = armed(mode, lost=("move to the rest pose ended: left arm: silent",)), Arms(own_leaders=True)
    if mode == "DISARMED":
        switching_on = f"`{name}` needs armed arms (mode DISARMED); wait for HOLD, then send `{name}` again"
        assert refused(machine.want(arm=True), command(name), arms) == switching_on
        never = f"`{name}` needs armed arms (mode DISARMED); send `arm`, then `{name}`"
        assert refused(machine, command(name), arms) == never
        return
    if mode == "FAULT":
        assert refused(machine.latch(fault="x"), command(name), arms) == f"x; send `clear`, then `{name}`"
        return
    made = reported(machine.want(takeover=name != "takeover", pose="ready"), command(name), arms)
    pose = "" if name == "takeover" else name
    assert (made.wanted.pose, made.wanted.takeover, made.wanted.run) == (pose, name == "takeover", False)
    assert made.latched.lost == ()


def test_clear_forgets_a_latched_fault_only(command: Command) -> None:
    latched, pending = armed("FAULT", fault="x"), armed("RUNNING", fault="x")
    assert reported(latched, command("clear"), Arms()).latched.fault == ""
    assert reported(pending, command("clear"), Arms()) == pending


@pytest.mark.parametrize("mode", MODES)
def test_a_stop_is_confirmed_and_sinks_the_arms_in_any_mode(mode: messages.Mode, command: Command) -> None:
    machine = armed(mode)
    assert "`hold` keeps them in place" in refused(machine, command("stop"), Arms())
    machine, motor_command, why = obey(machine, command("stop", confirmed=True), Arms())
    assert (motor_command, why, machine.latched.stopped, machine.latched.fault) == ("stop", "", True, STOPPED)


def test_a_stop_is_cleared_only_when_somebody_supports_the_arms(command: Command) -> None:
    machine = armed("FAULT", fault=STOPPED, stopped=True)
    assert refused(machine, command("arm"), Arms(stopped=True)) == STOPPED
    assert "support the arms" in refused(machine, command("clear"), Arms())
    machine, motor_command, why = obey(machine, command("clear", confirmed=True), Arms())
    assert (motor_command, why, machine.latched.fault) == ("reset", "", "")


def test_a_stop_that_an_arm_reports_is_cleared_before_it_is_armed(command: Command) -> None:
    """Only in FAULT was that the end of arms that had been armed."""
    for machine, stopped in ((armed("DISARMED", power=True), False), (armed("FAULT", power=True), True)):
        assert "reports an emergency stop" in refused(machine, command("arm"), Arms(stopped=True))
        machine, motor_command, why = obey(machine, command("clear", confirmed=True), Arms(stopped=True))
        assert (motor_command, why, machine.latched.stopped, machine.wanted.power) == ("reset", "", stopped, False)


SILENT = Arms(at_rest=True, silent=("right arm: feedback is 2000 ms old",))


def test_an_arm_that_is_not_heard_is_told_nothing_later(command: Command) -> None:
    """A stop, or the end of one, that arrives when its cable is plugged in again would let it fall on whoever does that."""
    machine = armed("HOLD", power=True)
    assert (
        refused(machine, command("release", confirmed=True), SILENT) == f"{SILENT.silent[0]}, then send `release` again"
    )
    machine, motor_command, why = obey(machine, command("stop", confirmed=True), SILENT)
    assert (motor_command, why, machine.wanted.power) == ("stop", "", False)
    assert machine.latched.fault == f"{STOPPED}; but {SILENT.silent[0]}"
    assert refused(machine, command("clear", confirmed=True), SILENT) == f"{SILENT.silent[0]}, then send `clear` again"


@pytest.mark.parametrize(("name", "mode"), [("stop", "HOLD"), ("clear", "FAULT"), ("release", "HOLD")])
def test_whoever_takes_the_power_away_takes_back_that_it_is_wanted(
    name: str, mode: messages.Mode, command: Command
) -> None:
    machine = armed(mode, power=True, stopped=name == "clear")
    machine, motor_command, _ = obey(machine, command(name, confirmed=True), Arms(at_rest=True))
    assert motor_command is not None and not machine.wanted.power


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("at_rest", [False, True])
@pytest.mark.parametrize("confirmed", [False, True])
def test_arms_are_released_at_rest_and_confirmed(
    mode: messages.Mode, at_rest: bool, confirmed: bool, command: Command
) -> None:
    machine = armed(mode).want(run=True, takeover=True, pose="ready")
    if mode not in ("HOLD", "DISARMED") or not at_rest or not confirmed:
        assert refused(machine, command("release", confirmed=confirmed), Arms(at_rest))
        return
    machine, motor_command, why = obey(machine, command("release", confirmed=confirmed), Arms(at_rest))
    assert (motor_command, why, machine.wanted) == ("release", "", Wanted())
