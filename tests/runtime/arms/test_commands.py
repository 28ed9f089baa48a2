"""Every order in every mode: obeyed or refused with the reason, and what the motors are told. Called by pytest."""

from collections.abc import Callable
from typing import Any, get_args

import pytest

from runtime.arms.commands import STOPPED, Arms, obey
from runtime.arms.safety import Machine
from runtime.messaging import messages

Build = Callable[..., Any]
WAITS = Arms(waits=True)
MODES: tuple[messages.Mode, ...] = get_args(messages.Mode)


@pytest.fixture
def command(build: Build) -> Callable[..., messages.Order]:
    return lambda name, confirmed=False: build(messages.Order, order=name, confirmed=confirmed)


def armed(mode: messages.Mode, **fields: Any) -> Machine:
    return Machine(mode, wants_arm=mode != "DISARMED", wants_run=mode == "RUNNING", **fields)


@pytest.mark.parametrize("mode", MODES)
def test_arm_run_and_hold_are_wishes(mode: messages.Mode, command: Callable[..., messages.Order]) -> None:
    machine = armed(mode)
    assert obey(machine, command("arm"), Arms()) == (None, "")
    assert (machine.wants_arm, machine.wants_power) == (True, True)
    machine.bound_for = "rest"
    assert obey(machine, command("run"), WAITS) == (None, "")
    assert (machine.wants_run, machine.bound_for) == (True, "")
    machine.bound_for = "ready"
    assert obey(machine, command("hold"), Arms()) == (None, "")
    assert (machine.wants_run, machine.bound_for, machine.mode) == (False, "", mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("forbidden", [(), ("camera head: frozen",)])
def test_a_robot_runs_at_once_or_not_at_all(
    mode: messages.Mode, forbidden: tuple[str, ...], command: Callable[..., messages.Order]
) -> None:
    """Nobody may stand near arms that begin to move when a cable is plugged in, or when somebody else arms them."""
    machine = armed(mode, forbidden=forbidden)
    wanted_before = machine.wants_run
    _, why = obey(machine, command("run"), Arms())
    may = mode == "RUNNING" or (mode in ("HOLD", "TAKEOVER") and not forbidden)
    assert (why == "") is may and machine.wants_run is (may or wanted_before)
    assert may or any(text in why for text in ("not armed", mode, "camera head: frozen; mend that"))


def test_who_was_held_is_armed_anew(command: Callable[..., messages.Order]) -> None:
    machine = armed("HOLD")
    for arms in (Arms(), WAITS):
        assert obey(machine, command("hold"), arms)[1] == ""
        assert obey(machine, command("hold"), arms)[1] == "", "again"
        assert obey(machine, command("run"), arms)[1] == "held by the operator; send arm, then run"
        assert obey(machine, command("arm"), arms)[1] == ""
        assert obey(machine, command("run"), arms)[1] == "" and machine.wants_run


def test_motors_are_not_switched_on_later(command: Callable[..., messages.Order]) -> None:
    machine = armed("DISARMED")
    _, why = obey(machine, command("arm"), Arms(silent=("left arm: feedback is 2000 ms old",)))
    assert why == "left arm: feedback is 2000 ms old, then send arm again"
    assert not machine.wants_power and not machine.wants_arm


def test_nothing_runs_with_a_fault(command: Callable[..., messages.Order]) -> None:
    machine = armed("FAULT", fault="left arm: motor 3 is hot")
    assert obey(machine, command("run"), WAITS) == (None, "left arm: motor 3 is hot; clear it first")
    assert not machine.wants_run
    obey(machine, command("clear"), Arms())
    assert obey(machine, command("run"), WAITS) == (None, ""), "as the terminal's r does"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pose", ["ready", "rest"])
def test_only_armed_arms_move_to_a_pose(pose: str, mode: messages.Mode, command: Callable[..., messages.Order]) -> None:
    machine = armed(mode)
    motor_command, why = obey(machine, command(pose), Arms())
    may = mode in ("HOLD", "RUNNING", "TAKEOVER")
    assert (motor_command, why == "", machine.bound_for) == (None, may, pose if may else "")
    assert may or mode in why
    assert not (may and machine.wants_run)


def test_clear_forgets_a_latched_fault_only(command: Callable[..., messages.Order]) -> None:
    latched, pending = armed("FAULT", fault="x"), armed("RUNNING", fault="x")
    assert obey(latched, command("clear"), Arms()) == (None, "")
    assert obey(pending, command("clear"), Arms()) == (None, "")
    assert (latched.fault, pending.fault) == ("", "x")


@pytest.mark.parametrize("mode", MODES)
def test_a_stop_is_confirmed_and_sinks_the_arms_in_any_mode(
    mode: messages.Mode, command: Callable[..., messages.Order]
) -> None:
    machine = armed(mode)
    motor_command, why = obey(machine, command("stop"), Arms())
    assert motor_command is None and "hold keeps them where they are" in why and not machine.stopped
    assert obey(machine, command("stop", confirmed=True), Arms()) == ("stop", "")
    assert (machine.stopped, machine.fault) == (True, STOPPED)


def test_a_stop_is_cleared_only_when_somebody_supports_the_arms(command: Callable[..., messages.Order]) -> None:
    machine = armed("FAULT", fault=STOPPED, stopped=True)
    assert obey(machine, command("arm"), Arms()) == (None, STOPPED)
    motor_command, why = obey(machine, command("clear"), Arms())
    assert motor_command is None and "support the arms" in why and machine.fault == STOPPED
    assert obey(machine, command("clear", confirmed=True), Arms()) == ("reset", "")
    assert machine.fault == ""


SILENT = Arms(at_rest=True, silent=("right arm: feedback is 2000 ms old",))


def test_an_arm_that_is_not_heard_is_told_nothing_later(command: Callable[..., messages.Order]) -> None:
    """A stop, or the end of one, that arrives when its cable is plugged in again would let it fall on whoever does that."""
    machine = armed("HOLD", wants_power=True)
    assert obey(machine, command("release", confirmed=True), SILENT) == (
        None,
        f"{SILENT.silent[0]}, then send release again",
    )
    assert obey(machine, command("stop", confirmed=True), SILENT) == ("stop", "")
    assert machine.fault == f"{STOPPED}; but {SILENT.silent[0]}" and not machine.wants_power
    assert obey(machine, command("clear", confirmed=True), SILENT) == (
        None,
        f"{SILENT.silent[0]}, then send clear again",
    )
    assert machine.fault


@pytest.mark.parametrize(("name", "mode"), [("stop", "HOLD"), ("clear", "FAULT"), ("release", "HOLD")])
def test_whoever_takes_the_power_away_takes_back_that_it_is_wanted(
    name: str, mode: messages.Mode, command: Callable[..., messages.Order]
) -> None:
    machine = armed(mode, wants_power=True, stopped=name == "clear")
    assert obey(machine, command(name, confirmed=True), Arms(at_rest=True))[0] is not None
    assert not machine.wants_power


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("at_rest", [False, True])
@pytest.mark.parametrize("confirmed", [False, True])
def test_arms_are_released_at_rest_and_confirmed(
    mode: messages.Mode, at_rest: bool, confirmed: bool, command: Callable[..., messages.Order]
) -> None:
    machine = armed(mode)
    motor_command, why = obey(machine, command("release", confirmed=confirmed), Arms(at_rest))
    may = mode in ("HOLD", "DISARMED") and at_rest and confirmed
    assert (motor_command, why == "") == ("release" if may else None, may)
    assert machine.wants_arm is (mode != "DISARMED" and not may)
