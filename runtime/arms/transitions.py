"""Which mode follows: one table, its guards and effects by name. Deterministic, no I/O.
Called by step.py in every tick.

ARCHITECTURE.md prints the table; tests/runtime/transition_text.py writes it there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, get_args

from runtime.arms.modes import Findings, StateMachine
from runtime.arms.reasons import why_not
from runtime.messaging.messages import Mode

Guard = Callable[[StateMachine, Findings], bool]
Effect = Callable[[StateMachine, Findings], StateMachine]


@dataclass(frozen=True)
class Row:
    """In one of these modes, when all guards hold: the mode that follows, and what else changes."""

    modes: tuple[Mode, ...]
    when: tuple[Guard, ...]
    then: Mode
    effects: tuple[Effect, ...] = ()


def a_fault_is_latched(machine: StateMachine, found: Findings) -> bool:
    return machine.latched.fault != ""


def the_arms_had_been_armed(machine: StateMachine, found: Findings) -> bool:
    return not (machine.latched.never_armed or machine.latched.stopped)


def arm_is_wanted(machine: StateMachine, found: Findings) -> bool:
    return machine.wanted.arm


def arm_is_not_wanted(machine: StateMachine, found: Findings) -> bool:
    return not machine.wanted.arm


def the_motors_are_on(machine: StateMachine, found: Findings) -> bool:
    return found.motors_on


def a_motor_is_off(machine: StateMachine, found: Findings) -> bool:
    return not found.motors_on


def both_arms_are_well(machine: StateMachine, found: Findings) -> bool:
    return found.armable


def run_is_wanted(machine: StateMachine, found: Findings) -> bool:
    return machine.wanted.run


def run_is_not_wanted(machine: StateMachine, found: Findings) -> bool:
    return not machine.wanted.run


def nothing_forbids_run(machine: StateMachine, found: Findings) -> bool:
    return not found.forbids_run


def something_forbids_run(machine: StateMachine, found: Findings) -> bool:
    return bool(found.forbids_run)


def holds_end_by_themselves(machine: StateMachine, found: Findings) -> bool:
    return found.resumes


def run_may_not_wait(machine: StateMachine, found: Findings) -> bool:
    return not (found.resumes or machine.wanted.first_run)


def takeover_is_wanted(machine: StateMachine, found: Findings) -> bool:
    return machine.wanted.takeover


def takeover_is_not_wanted(machine: StateMachine, found: Findings) -> bool:
    return not machine.wanted.takeover


def nothing_forbids_takeover(machine: StateMachine, found: Findings) -> bool:
    return not found.forbids_takeover


def something_forbids_takeover(machine: StateMachine, found: Findings) -> bool:
    return bool(found.forbids_takeover)


def count_a_fault(machine: StateMachine, found: Findings) -> StateMachine:
    return machine.be(faults=machine.status.faults + 1)


def count_a_hold(machine: StateMachine, found: Findings) -> StateMachine:
    return machine.be(holds=machine.status.holds + 1)


def latch_that_nobody_had_armed(machine: StateMachine, found: Findings) -> StateMachine:
    return machine.latch(never_armed=True)


def end_the_stop(machine: StateMachine, found: Findings) -> StateMachine:
    return machine.latch(never_armed=False, stopped=False)


def latch_what_forbids_takeover(machine: StateMachine, found: Findings) -> StateMachine:
    return machine.latch(lost=found.forbids_takeover)


def want_arm(machine: StateMachine, found: Findings) -> StateMachine:
    return machine.want(arm=True)


def take_arm_back(machine: StateMachine, found: Findings) -> StateMachine:
    return machine.want(arm=False)


def take_run_back(machine: StateMachine, found: Findings) -> StateMachine:
    return machine.want(run=False)


def the_first_run_has_come(machine: StateMachine, found: Findings) -> StateMachine:
    return machine.want(first_run=False)


def take_takeover_back(machine: StateMachine, found: Findings) -> StateMachine:
    return machine.want(takeover=False)


ARMED: Final[tuple[Mode, ...]] = ("HOLD", "RUNNING", "TAKEOVER")

# The first row whose mode and guards hold decides; without one the mode stays.
TABLE: Final = (
    Row(
        ("DISARMED",),
        (a_fault_is_latched,),
        "FAULT",
        (count_a_fault, latch_that_nobody_had_armed, take_run_back),
    ),
    Row(ARMED, (a_fault_is_latched,), "FAULT", (count_a_fault, take_run_back)),
    Row(("FAULT",), (a_fault_is_latched,), "FAULT", (take_run_back,)),
    Row(("FAULT",), (the_motors_are_on, the_arms_had_been_armed), "HOLD", (want_arm,)),
    Row(("FAULT",), (), "DISARMED", (take_arm_back, end_the_stop)),
    # Arms that are switched on again would move to their old target: they stay disarmed.
    Row(ARMED, (a_motor_is_off,), "DISARMED", (take_arm_back, take_run_back)),
    Row(ARMED, (arm_is_not_wanted,), "DISARMED", (take_run_back,)),
    Row(("DISARMED",), (arm_is_wanted, both_arms_are_well, the_motors_are_on), "HOLD"),
    Row(("RUNNING",), (something_forbids_run, holds_end_by_themselves), "HOLD", (count_a_hold,)),
    Row(("RUNNING",), (something_forbids_run,), "HOLD", (count_a_hold, take_run_back)),
    Row(("RUNNING",), (run_is_not_wanted,), "HOLD"),
    # The policy has seen where the arms were led.
    Row(("TAKEOVER",), (run_is_wanted, nothing_forbids_run), "RUNNING"),
    Row(
        ("TAKEOVER",),
        (something_forbids_takeover,),
        "HOLD",
        (count_a_hold, take_takeover_back, latch_what_forbids_takeover),
    ),
    Row(("TAKEOVER",), (takeover_is_not_wanted,), "HOLD"),
    Row(("HOLD",), (run_is_wanted, nothing_forbids_run), "RUNNING", (the_first_run_has_come,)),
    # Nobody waits near arms that may begin to move at any time.
    Row(("HOLD",), (run_is_wanted, run_may_not_wait), "HOLD", (take_run_back,)),
    Row(("HOLD",), (takeover_is_wanted, nothing_forbids_takeover), "TAKEOVER"),
)

_ROWS: Final = {mode: tuple(row for row in TABLE if mode in row.modes) for mode in get_args(Mode)}

# What is wanted or said in these modes only; it ends with them.
KEPT: Final[dict[str, tuple[Mode, ...]]] = {
    "pose": ("HOLD",),
    "takeover": ("HOLD", "TAKEOVER"),
    "lost": ("HOLD",),
}


def decide(machine: StateMachine, found: Findings) -> Row | None:
    """The row that applies; None: the mode stays."""
    for row in _ROWS[machine.mode]:
        for guard in row.when:
            if not guard(machine, found):
                break
        else:
            return row
    return None


def settle(machine: StateMachine, found: Findings, now_ns: int) -> StateMachine:
    """Let the mode follow from what is wanted, latched and found; at most one row of the table applies.

    Returns:
        The machine after this tick, with the reasons that the operator reads.
    """
    before = machine.mode
    if (row := decide(machine, found)) is not None:
        for effect in row.effects:
            machine = effect(machine, found)
        machine = machine.be(mode=row.then, since_ns=machine.status.since_ns if row.then == before else now_ns)
    machine = _end(machine, found)
    reasons = why_not(machine, found)
    if (machine.status.forbidden, machine.status.reasons) == (found.forbids_run, reasons):
        return machine
    return machine.be(forbidden=found.forbids_run, reasons=reasons)


def _end(machine: StateMachine, found: Findings) -> StateMachine:
    """The machine without what does not outlive its mode. The way to a pose also ends when an arm is lost, and that is said."""
    mode, pose, lost = machine.mode, machine.wanted.pose, machine.latched.lost
    if not (pose or lost or machine.wanted.takeover):
        return machine
    if pose and not found.armable:
        lost = tuple(f"move to the {pose} pose ended: {reason}" for reason in found.forbids_run[:1])
    machine = machine.latch(lost=lost if mode in KEPT["lost"] else ())
    return machine.want(
        pose=pose if mode in KEPT["pose"] and found.armable else "",
        takeover=machine.wanted.takeover and mode in KEPT["takeover"],
    )
