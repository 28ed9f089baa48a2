"""Which mode follows, cell by cell: every mode with every combination of what its rows ask, and what is said in it.

The tables here are written without an order: each cell belongs to exactly one of their rows. Called by pytest.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

import pytest
import transition_text

from runtime.arms.modes import Findings, Latched, StateMachine, Status, Wanted
from runtime.arms.reasons import HELD, NOT_ON, WAITS, why_not
from runtime.arms.transitions import TABLE, decide, settle
from runtime.messaging import messages

MODES: tuple[messages.Mode, ...] = get_args(messages.Mode)
NOW_NS = 1_000_000_000_000
FORBIDS, UNLED, BEFORE = ("left arm: silent", "no chunk yet"), ("takeover: no leader",), ("the page was lost",)

# fault latched, stopped, never armed, motors on, arms well, arm wanted, run wanted, run forbidden, holds end by themselves,
# first run to come, takeover wanted, takeover forbidden: 1 yes, 0 no, - either. Then what changes; takeover and pose: KEPT.
CELLS = """
mode      F S N M W A R X E I T U   then      changes
DISARMED  1 - - - - - - - - - - -   FAULT     run=0 faults+1 never=1
DISARMED  0 - - - - 0 - - - - - -   DISARMED
DISARMED  0 - - 0 - 1 - - - - - -   DISARMED
DISARMED  0 - - 1 0 1 - - - - - -   DISARMED
DISARMED  0 - - 1 1 1 - - - - - -   HOLD
FAULT     1 - - - - - - - - - - -   FAULT     run=0
FAULT     0 - - 0 - - - - - - - -   DISARMED  arm=0 stopped=0 never=0
FAULT     0 0 0 1 - - - - - - - -   HOLD      arm=1
FAULT     0 0 1 1 - - - - - - - -   DISARMED  arm=0 stopped=0 never=0
FAULT     0 1 - 1 - - - - - - - -   DISARMED  arm=0 stopped=0 never=0
HOLD      1 - - - - - - - - - - -   FAULT     run=0 faults+1
HOLD      0 - - 0 - - - - - - - -   DISARMED  arm=0 run=0
HOLD      0 - - 1 - 0 - - - - - -   DISARMED  arm=0 run=0
HOLD      0 - - 1 - 1 0 - - - 0 -   HOLD
HOLD      0 - - 1 - 1 0 - - - 1 1   HOLD
HOLD      0 - - 1 - 1 0 - - - 1 0   TAKEOVER
HOLD      0 - - 1 - 1 1 0 - - - -   RUNNING   first=0
HOLD      0 - - 1 - 1 1 1 0 0 - -   HOLD      run=0
HOLD      0 - - 1 - 1 1 1 0 1 0 -   HOLD
HOLD      0 - - 1 - 1 1 1 0 1 1 1   HOLD
HOLD      0 - - 1 - 1 1 1 0 1 1 0   TAKEOVER
HOLD      0 - - 1 - 1 1 1 1 - 0 -   HOLD
HOLD      0 - - 1 - 1 1 1 1 - 1 1   HOLD
HOLD      0 - - 1 - 1 1 1 1 - 1 0   TAKEOVER
RUNNING   1 - - - - - - - - - - -   FAULT     run=0 faults+1
RUNNING   0 - - 0 - - - - - - - -   DISARMED  arm=0 run=0
RUNNING   0 - - 1 - 0 - - - - - -   DISARMED  arm=0 run=0
RUNNING   0 - - 1 - 1 - 1 0 - - -   HOLD      run=0 holds+1
RUNNING   0 - - 1 - 1 - 1 1 - - -   HOLD      holds+1
RUNNING   0 - - 1 - 1 0 0 - - - -   HOLD
RUNNING   0 - - 1 - 1 1 0 - - - -   RUNNING
TAKEOVER  1 - - - - - - - - - - -   FAULT     run=0 faults+1
TAKEOVER  0 - - 0 - - - - - - - -   DISARMED  arm=0 run=0
TAKEOVER  0 - - 1 - 0 - - - - - -   DISARMED  arm=0 run=0
TAKEOVER  0 - - 1 - 1 1 0 - - - -   RUNNING
TAKEOVER  0 - - 1 - 1 0 - - - - 1   HOLD      takeover=0 holds+1 lost
TAKEOVER  0 - - 1 - 1 1 1 - - - 1   HOLD      takeover=0 holds+1 lost
TAKEOVER  0 - - 1 - 1 0 - - - 0 0   HOLD
TAKEOVER  0 - - 1 - 1 1 1 - - 0 0   HOLD
TAKEOVER  0 - - 1 - 1 0 - - - 1 0   TAKEOVER
TAKEOVER  0 - - 1 - 1 1 1 - - 1 0   TAKEOVER
"""

# unfit, arm wanted, motors on, pose wanted, takeover wanted, run wanted, held: then what is said.
SAID = """
mode      U A M P T R H   said
DISARMED  1 - - - - - -   unfit forbids
DISARMED  0 1 0 - - - -   motors forbids
DISARMED  0 0 - - - - -   disarmed forbids
DISARMED  0 1 1 - - - -   disarmed forbids
FAULT     - - - - - - -   fault
RUNNING   - - - - - - -
TAKEOVER  - - - - - - -   led
HOLD      - - - 1 - - -   pose
HOLD      - - - 0 1 - -   unled
HOLD      - - - 0 0 1 -   forbids
HOLD      - - - 0 0 0 1   lost forbids held
HOLD      - - - 0 0 0 0   lost forbids waits
"""
WORDS: dict[str, tuple[str, ...]] = {
    "unfit": ("arming blocked: bus left is down",),
    "forbids": FORBIDS,
    "motors": (NOT_ON,),
    "disarmed": ("not armed",),
    "fault": ("left arm: motor 3 is hot",),
    "led": ("the leaders lead the arms",),
    "pose": ("moving to the rest pose",),
    "unled": UNLED,
    "lost": BEFORE,
    "held": (HELD,),
    "waits": (WAITS,),
}


def rows_of(table: str, columns: int) -> list[tuple[str, tuple[str, ...], list[str]]]:
    """Mode, pattern and what follows, of each row."""
    rows = [line.split() for line in table.strip().splitlines()[1:]]
    return [(mode, tuple(row[:columns]), row[columns:]) for mode, *row in rows]


def cells(columns: int) -> Iterator[tuple[bool, ...]]:
    return itertools.product((False, True), repeat=columns)


def the_row(rows: list[tuple[str, tuple[str, ...], list[str]]], mode: str, cell: tuple[bool, ...]) -> list[str]:
    """What follows in the one row that a cell belongs to."""
    found = [
        then
        for of, pattern, then in rows
        if of == mode and all(wanted in ("-", str(int(value))) for wanted, value in zip(pattern, cell, strict=True))
    ]
    assert len(found) == 1, f"{mode} {cell}: {len(found)} rows"
    return found[0]


def before(mode: messages.Mode, cell: tuple[bool, ...]) -> tuple[StateMachine, Findings]:
    """The state and the findings of a cell, on the way to a pose and with something to say of before."""
    fault, stopped, never, motors, well, arm, run, forbidden, resumes, first, takeover, unled = cell
    machine = StateMachine(
        Wanted(arm, run=run, first_run=first, takeover=takeover, pose="rest"),
        Latched("left arm: motor 3 is hot" if fault else "", stopped, never, lost=BEFORE),
        Status(mode, since_ns=7, holds=3, faults=5),
    )
    return machine, Findings(FORBIDS if forbidden else (), UNLED if unled else (), well, motors, resumes)


def after(machine: StateMachine, found: Findings, then: messages.Mode, changes: list[str]) -> StateMachine:
    """What a row of CELLS says, and the end of what does not outlive its mode."""
    wanted, latched, status = machine.wanted, machine.latched, replace(machine.status, mode=then)
    for change in changes:
        match change.split("="):
            case ["arm" | "run" | "takeover" as name, value]:
                wanted = replace(wanted, **{name: value == "1"})
            case ["first", _]:
                wanted = replace(wanted, first_run=False)
            case ["stopped", _]:
                latched = replace(latched, stopped=False)
            case ["never", value]:
                latched = replace(latched, never_armed=value == "1")
            case ["lost"]:
                latched = replace(latched, lost=UNLED)
            case ["holds+1"]:
                status = replace(status, holds=4)
            case _:
                assert change == "faults+1"
                status = replace(status, faults=6)
    if not found.armable:
        latched = replace(latched, lost=tuple(f"move to the rest pose ended: {text}" for text in found.forbids_run[:1]))
    latched = replace(latched, lost=latched.lost if then == "HOLD" else ())
    wanted = replace(wanted, pose="rest" if then == "HOLD" and found.armable else "")
    wanted = replace(wanted, takeover=wanted.takeover and then in ("HOLD", "TAKEOVER"))
    since_ns = 7 if then == machine.mode else NOW_NS
    return StateMachine(wanted, latched, replace(status, since_ns=since_ns, forbidden=found.forbids_run))


@pytest.mark.parametrize("mode", MODES)
def test_every_cell(mode: messages.Mode) -> None:
    rows = rows_of(CELLS, 12)
    for cell in cells(12):
        machine, found = before(mode, cell)
        then, *changes = the_row(rows, mode, cell)
        made = settle(machine, found, NOW_NS)
        assert made.mode == then, cell
        assert replace(made, status=replace(made.status, reasons=())) == after(machine, found, made.mode, changes), cell
        assert made.status.reasons == why_not(made, found)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lost", [(), BEFORE])
def test_every_cell_says_why(mode: messages.Mode, lost: tuple[str, ...]) -> None:
    rows = rows_of(SAID, 7)
    for cell in cells(7):
        unfit, arm, motors, pose, takeover, run, held = cell
        machine = StateMachine(
            Wanted(arm, run=run, takeover=takeover, pose="rest" if pose else ""),
            Latched(fault="left arm: motor 3 is hot", held=held, lost=lost),
            Status(mode),
        )
        found = Findings(FORBIDS, UNLED, motors_on=motors, unfit="bus left is down" if unfit else "")
        words = {**WORDS, "lost": lost}
        said = tuple(text for name in the_row(rows, mode, cell) for text in words[name])
        assert why_not(machine, found) == said, cell


@pytest.mark.parametrize("mode", MODES)
def test_a_command_that_an_arm_does_not_show_is_said_in_every_mode_where_one_can_be(mode: messages.Mode) -> None:
    """In those without targets; in the others it forbids to run, and is said with what forbids that."""
    undone = ("right arm: `stop` not carried out",)
    said = why_not(StateMachine(latched=Latched(fault="stopped"), status=Status(mode)), Findings(undone, undone=undone))
    assert {"FAULT": said == (*undone, "stopped"), "DISARMED": undone[0] in said}.get(mode, True)


def test_every_row_of_the_table_decides_somewhere() -> None:
    """None is hidden by those above it."""
    decided = {decide(*before(mode, cell)) for mode in MODES for cell in cells(12)}
    assert decided == {None, *TABLE}


@pytest.mark.parametrize("mode", MODES)
def test_only_a_way_to_a_pose_ends_on_the_way_to_it(mode: messages.Mode) -> None:
    machine = StateMachine(Wanted(arm=True), Latched("hot" * (mode == "FAULT"), lost=BEFORE), Status(mode))
    made = settle(machine, Findings(FORBIDS, UNLED, armable=False), NOW_NS)
    assert made.latched.lost == {"HOLD": BEFORE, "RUNNING": BEFORE, "TAKEOVER": UNLED}.get(mode, ())


def test_why_a_way_to_a_pose_ended_is_said_until_the_next_command() -> None:
    machine = StateMachine(Wanted(arm=True, pose="rest"), status=Status("HOLD"))
    for found in (Findings(FORBIDS, armable=False), Findings(), Findings(("no chunk yet",))):
        machine = settle(machine, found, NOW_NS)
        assert machine.status.reasons == ("move to the rest pose ended: left arm: silent", *found.forbids_run, WAITS)


def test_arms_without_power_are_not_armed_by_themselves() -> None:
    """Switched on again they would jump to where they were commanded last."""
    machine = StateMachine(Wanted(arm=True, run=True), status=Status("RUNNING"))
    machine = settle(machine, Findings(motors_on=False, resumes=True), NOW_NS)
    assert machine.mode == "DISARMED"
    assert settle(machine, Findings(resumes=True), NOW_NS).mode == "DISARMED"


def test_the_run_that_begins_by_itself_waits_once() -> None:
    machine = StateMachine(Wanted(arm=True, run=True, first_run=True), status=Status("HOLD"))
    for forbids, mode in ((FORBIDS, "HOLD"), ((), "RUNNING"), (FORBIDS, "HOLD"), ((), "HOLD")):
        machine = settle(machine, Findings(forbids), NOW_NS)
        assert machine.mode == mode


def test_architecture_prints_the_table() -> None:
    """To write it again: python tests/runtime/transition_text.py."""
    assert transition_text.printed() in transition_text.ARCHITECTURE.read_text()
