"""What becomes of an operator's command: obeyed, or refused with the reason. Deterministic.
Called by step.py for each new command; the mode follows in transitions.py.

A command is a check and a change, and only the change gives another state: one that is refused changes nothing.
`stop`, `release`, and to clear a stop take the power from arms that may fall: somebody has to stand beside them and confirm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from drivers.arm import EMERGENCY_STOP, MotorCommand
from runtime.arms.modes import StateMachine
from runtime.arms.reasons import BLOCKED, CONFIRM_IT, HELD
from runtime.arms.takeover import STOCK_WIRING
from runtime.arms.transitions import ARMED
from runtime.messaging import messages

STOPPED = f"stopped by an operator: the arms sink; support them, then send `clear` {CONFIRM_IT}"


@dataclass(frozen=True)
class Arms:
    """How both arms are when a command comes, and what the settings say of them."""

    at_rest: bool = False  # where they may be let go
    stopped: bool = False  # one reports a stop itself: by its own button, or by a command to a former `arms`
    silent: tuple[str, ...] = ()  # those that are not heard
    outside: tuple[str, ...] = ()  # those that are read outside their ranges
    waits: bool = False  # in simulation a command to run waits until it can be obeyed
    unfit: str = ""  # why the checks before the start forbid to arm
    own_leaders: bool = False  # there are leaders on buses of their own: they can take over


Check = Callable[[StateMachine, bool, Arms], str]
"""Why a command is refused in this state, confirmed or not; empty: it is obeyed."""
Change = Callable[[StateMachine, Arms], tuple[StateMachine, MotorCommand | None]]
"""The state after it, and what the motors are told at once."""


def obey(
    machine: StateMachine, command: messages.OperatorCommand, arms: Arms
) -> tuple[StateMachine, MotorCommand | None, str]:
    """Obey or refuse a command.

    Args:
        machine: Before it.
        command: Its name, and whether it was confirmed.
        arms: How they are now.

    Returns:
        The state after it, what the motors are told at once (None: nothing), and why it was refused (empty: obeyed).
    """
    check, change = COMMANDS[command.command]
    if why := check(machine, command.confirmed, arms):
        return machine, None, why
    return *change(machine, arms), ""


def _may_arm(machine: StateMachine, confirmed: bool, arms: Arms) -> str:
    if arms.stopped and not machine.latched.stopped:
        return f"an arm reports an {EMERGENCY_STOP}; support it, then send `clear` {CONFIRM_IT}"
    if machine.latched.stopped:
        return STOPPED
    if arms.unfit:
        return f"{BLOCKED}: {arms.unfit}"
    if arms.silent:
        return f"{arms.silent[0]}, then send `arm` again"  # motors must not come on later, when nobody expects it
    return f"{arms.outside[0]}, then send `arm` again" if arms.outside else ""


def _arm(machine: StateMachine, arms: Arms) -> tuple[StateMachine, None]:
    return machine.want(arm=True, power=True).latch(held=False), None


def _may_run(machine: StateMachine, confirmed: bool, arms: Arms) -> str:
    """On a robot it is obeyed at once or not at all: nobody may be near arms that begin to move when a cable is plugged in."""
    if machine.latched.fault:
        return _cleared_before("run", machine)
    if machine.latched.held:
        return HELD
    if not machine.wanted.arm:
        return "not armed; send `arm` first"
    if not arms.waits and machine.mode not in ARMED:
        return f"`run` needs armed arms (mode {machine.mode}); wait for HOLD, then send `run` again"
    if not arms.waits and machine.status.forbidden and machine.mode != "RUNNING":
        return f"{machine.status.forbidden[0]}; fix it, then send `run` again"
    return ""


def _run(machine: StateMachine, arms: Arms) -> tuple[StateMachine, None]:
    """Instead of the run that the program begins by itself, which waits where an operator's may not."""
    return machine.want(run=True, first_run=False, pose="", takeover=False), None


def _may_take_over(machine: StateMachine, confirmed: bool, arms: Arms) -> str:
    if not arms.own_leaders:
        return STOCK_WIRING
    if machine.latched.held:
        return "held by the operator; send `arm`, then `takeover`"
    return "" if machine.mode in ARMED else _not_armed("takeover", machine)


def _not_armed(command: str, machine: StateMachine) -> str:
    """Why a movement is refused, with what arms the arms from here: a fault's end leaves those armed that had been."""
    if machine.mode == "FAULT":
        return _cleared_before(command, machine)
    then = f"wait for HOLD, then send `{command}` again" if machine.wanted.arm else f"send `arm`, then `{command}`"
    return f"`{command}` needs armed arms (mode {machine.mode}); {then}"


def _cleared_before(command: str, machine: StateMachine) -> str:
    """A fault with the way out of it, but where it names its own: a stop's arms are supported first."""
    fault, follows = machine.latched.fault, "arm" if machine.latched.never_armed else command
    return fault if "`clear`" in fault else f"{fault}; send `clear`, then `{follows}`"


def _confirm(command: messages.CommandName) -> str:
    return f"support the arms, then send `{command}` again {CONFIRM_IT}"


def _take_over(machine: StateMachine, arms: Arms) -> tuple[StateMachine, None]:
    """Whoever wants to lead the arms does not want the policy to."""
    return machine.want(run=False, pose="", takeover=True).latch(lost=()), None


def _always(machine: StateMachine, confirmed: bool, arms: Arms) -> str:
    return ""


def _hold(machine: StateMachine, arms: Arms) -> tuple[StateMachine, None]:
    return machine.want(run=False, pose="", takeover=False).latch(held=True, lost=()), None


def _may_move(pose: Literal["ready", "rest"], machine: StateMachine, confirmed: bool, arms: Arms) -> str:
    return "" if machine.mode in ARMED else _not_armed(pose, machine)


def _move(pose: Literal["ready", "rest"], machine: StateMachine, arms: Arms) -> tuple[StateMachine, None]:
    return machine.want(run=False, pose=pose, takeover=False).latch(lost=()), None


def _may_clear(machine: StateMachine, confirmed: bool, arms: Arms) -> str:
    stopped = arms.stopped or machine.latched.stopped
    if stopped and not confirmed:
        return f"clearing a stop cuts the arms' power: {_confirm('clear')}"
    if stopped and arms.silent:
        return f"{arms.silent[0]}, then send `clear` again"  # it would not hear that its stop is taken back
    return ""


def _clear(machine: StateMachine, arms: Arms) -> tuple[StateMachine, MotorCommand | None]:
    stopped = arms.stopped or machine.latched.stopped
    if machine.mode == "FAULT":
        machine = machine.latch(fault="", stopped=stopped)
    return machine.want(power=machine.wanted.power and not stopped), "reset" if stopped else None


def _may_stop(machine: StateMachine, confirmed: bool, arms: Arms) -> str:
    return "" if confirmed else f"`stop` lets the arms sink: {_confirm('stop')}; `hold` keeps them in place"


def _stop(machine: StateMachine, arms: Arms) -> tuple[StateMachine, MotorCommand]:
    """Whoever is heard is stopped; an arm that is not heard is told nothing later either, when nobody expects it."""
    return machine.want(power=False).latch(stopped=True, fault="; but ".join((STOPPED, *arms.silent))), "stop"


def _may_release(machine: StateMachine, confirmed: bool, arms: Arms) -> str:
    if machine.mode not in ("HOLD", "DISARMED"):
        return f"`release` needs HOLD or DISARMED (mode {machine.mode}); send `hold` first"
    if arms.silent:
        return f"{arms.silent[0]}, then send `release` again"
    if not arms.at_rest:
        return "the arms are not in their rest pose and would fall; send `rest` first"
    return "" if confirmed else f"`release` cuts the arms' power: {_confirm('release')}"


def _release(machine: StateMachine, arms: Arms) -> tuple[StateMachine, MotorCommand]:
    return machine.want(arm=False, power=False, run=False, takeover=False, pose=""), "release"


COMMANDS: Final[dict[messages.CommandName, tuple[Check, Change]]] = {
    "arm": (_may_arm, _arm),
    "run": (_may_run, _run),
    "takeover": (_may_take_over, _take_over),
    "hold": (_always, _hold),
    "stop": (_may_stop, _stop),
    "ready": (partial(_may_move, "ready"), partial(_move, "ready")),
    "rest": (partial(_may_move, "rest"), partial(_move, "rest")),
    "release": (_may_release, _release),
    "clear": (_may_clear, _clear),
}
