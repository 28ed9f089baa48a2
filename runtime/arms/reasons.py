"""Why the arms do not run, in words: what the operator reads in each mode.
Called by transitions.py once a tick; the console compares its constants.
"""

from runtime.arms.modes import Findings, StateMachine

HELD = "held by the operator; send `arm`, then `run`"
WAITS = "waiting for the operator; send `run`"
CONFIRM_IT = "and confirm it"  # the end of what needs a person beside the arms
NOT_ON = "motors are not on yet"
BLOCKED, MOVING = "arming blocked", "moving to"  # the beginnings of two more


def why_not(machine: StateMachine, found: Findings) -> tuple[str, ...]:
    """Why the arms do not run, as the operator reads it, the first reason first; empty in RUNNING."""
    match machine.mode:
        case "RUNNING":
            return ()
        case "TAKEOVER":
            return ("the leaders lead the arms",)
        case "FAULT":
            return (*found.undone, machine.latched.fault)
        case "DISARMED":
            return (_why_not_armed(machine, found), *found.forbids_run)
        case "HOLD":  # pragma: no branch - there is no other mode
            return _why_holding(machine, found)


def _why_not_armed(machine: StateMachine, found: Findings) -> str:
    if found.unfit:
        return f"{BLOCKED}: {found.unfit}"
    return NOT_ON if machine.wanted.arm and not found.motors_on else "not armed"


def _why_holding(machine: StateMachine, found: Findings) -> tuple[str, ...]:
    wanted, latched = machine.wanted, machine.latched
    if wanted.pose:
        return (f"{MOVING} the {wanted.pose} pose",)
    if wanted.takeover:
        return found.forbids_takeover
    if wanted.run:
        return found.forbids_run
    return (*latched.lost, *found.forbids_run, HELD if latched.held else WAITS)
