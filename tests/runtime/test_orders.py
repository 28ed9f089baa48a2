"""Every order in every mode: obeyed or refused with the reason, and what the motors are told. Called by pytest."""

from collections.abc import Callable
from typing import Any, get_args

import pytest

from runtime import wire
from runtime.orders import STOPPED, obey
from runtime.safety import Machine

Build = Callable[..., Any]
MODES: tuple[wire.Mode, ...] = get_args(wire.Mode)


@pytest.fixture
def order(build: Build) -> Callable[..., wire.Order]:
    return lambda name, confirmed=False: build(wire.Order, order=name, confirmed=confirmed)


def armed(mode: wire.Mode, **fields: Any) -> Machine:
    return Machine(mode, wants_arm=mode != "DISARMED", wants_run=mode == "RUNNING", **fields)


@pytest.mark.parametrize("mode", MODES)
def test_arm_run_and_hold_are_wishes(mode: wire.Mode, order: Callable[..., wire.Order]) -> None:
    machine = armed(mode)
    assert obey(machine, order("arm"), False) == (None, "")
    assert (machine.wants_arm, machine.wants_power) == (True, True)
    machine.wants_rest = True
    assert obey(machine, order("run"), False) == (None, "")
    assert (machine.wants_run, machine.wants_rest) == (True, False)
    machine.wants_rest = True
    assert obey(machine, order("hold"), False) == (None, "")
    assert (machine.wants_run, machine.wants_rest, machine.mode) == (False, False, mode)


def test_nothing_runs_with_a_fault(order: Callable[..., wire.Order]) -> None:
    machine = armed("FAULT", fault="left arm: motor 3 is hot")
    assert obey(machine, order("run"), False) == (None, "left arm: motor 3 is hot; clear it first")
    assert not machine.wants_run
    obey(machine, order("clear"), False)
    assert obey(machine, order("run"), False) == (None, ""), "as the terminal's r does"


@pytest.mark.parametrize("mode", MODES)
def test_only_armed_arms_move_to_rest(mode: wire.Mode, order: Callable[..., wire.Order]) -> None:
    machine = armed(mode)
    drive, why = obey(machine, order("rest"), False)
    may = mode in ("HOLD", "RUNNING")
    assert (drive, why == "", machine.wants_rest) == (None, may, may)
    assert may or mode in why
    assert not (may and machine.wants_run)


def test_clear_forgets_a_latched_fault_only(order: Callable[..., wire.Order]) -> None:
    latched, pending = armed("FAULT", fault="x"), armed("RUNNING", fault="x")
    assert obey(latched, order("clear"), False) == (None, "")
    assert obey(pending, order("clear"), False) == (None, "")
    assert (latched.fault, pending.fault) == ("", "x")


@pytest.mark.parametrize("mode", MODES)
def test_a_stop_is_confirmed_and_sinks_the_arms_in_any_mode(mode: wire.Mode, order: Callable[..., wire.Order]) -> None:
    machine = armed(mode)
    drive, why = obey(machine, order("stop"), False)
    assert drive is None and "hold keeps them where they are" in why and not machine.stopped
    assert obey(machine, order("stop", confirmed=True), False) == ("stop", "")
    assert (machine.stopped, machine.fault) == (True, STOPPED)


def test_a_stop_is_cleared_only_when_somebody_supports_the_arms(order: Callable[..., wire.Order]) -> None:
    machine = armed("FAULT", fault=STOPPED, stopped=True)
    assert obey(machine, order("arm"), False) == (None, STOPPED)
    drive, why = obey(machine, order("clear"), False)
    assert drive is None and "support the arms" in why and machine.fault == STOPPED
    assert obey(machine, order("clear", confirmed=True), False) == ("reset", "")
    assert machine.fault == ""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("at_rest", [False, True])
@pytest.mark.parametrize("confirmed", [False, True])
def test_arms_are_released_at_rest_and_confirmed(
    mode: wire.Mode, at_rest: bool, confirmed: bool, order: Callable[..., wire.Order]
) -> None:
    machine = armed(mode)
    drive, why = obey(machine, order("release", confirmed=confirmed), at_rest)
    may = mode in ("HOLD", "DISARMED") and at_rest and confirmed
    assert (drive, why == "") == ("release" if may else None, may)
    assert machine.wants_arm is (mode != "DISARMED" and not may)
