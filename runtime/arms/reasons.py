"""Why the arms do not run, in words: what the operator reads in each mode.
Called by transitions.py once a tick; the console compares its constants.
"""

from runtime.arms.modes import Findings, StateMachine

HELD = "held by the operator: waits to be armed anew, then for the command to run"
WAITS = "waits for the command to run"
NOT_ON = "the motors are not on yet"


def why_not(machine: StateMachine, found: Findings) -> tuple[str, ...]:
    """Why the arms do not run, as the operator reads it, the first reason first; empty in RUNNING."""
    match machine.mode:
        case "RUNNING":
            return ()
        case "TAKEOVER":
            return ("the leaders lead the arms",)
        case "FAULT":
            return (machine.latched.fault,)
        case "DISARMED":
            return (_why_not_armed(machine, found), *found.forbids_run)
        case "HOLD":  # pragma: no branch - there is no other mode
            return _why_holding(machine, found)


def _why_not_armed(machine: StateMachine, found: Findings) -> str:
    if found.unfit:
        return f"not fit to be armed: {found.unfit}"
    return NOT_ON if machine.wanted.arm and not found.motors_on else "not armed"


def _why_holding(machine: StateMachine, found: Findings) -> tuple[str, ...]:
    wanted, latched = machine.wanted, machine.latched
    if wanted.pose:
        return (f"moves to the {wanted.pose} pose",)
    if wanted.takeover:
        return found.forbids_takeover
    if wanted.run:
        return found.forbids_run
    return (*latched.lost, *found.forbids_run, HELD if latched.held else WAITS)
