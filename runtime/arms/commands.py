"""What becomes of an operator's command: obeyed, or refused with the reason. Deterministic; the mode follows in safety.py.

`stop`, `release`, and to clear a stop take the power from arms that may fall: somebody has to stand beside them and confirm.
"""

from dataclasses import dataclass
from typing import Literal

from drivers.arm import EMERGENCY_STOP, MotorCommand
from runtime.arms.safety import Machine
from runtime.arms.takeover import STOCK_WIRING
from runtime.messaging import messages

_CONFIRM = "support the arms, then give the order again with its confirmation"
STOPPED = "stopped by an operator, the arms have sunk; support them, then clear with its confirmation"

_ARMED: tuple[messages.Mode, ...] = ("HOLD", "RUNNING", "TAKEOVER")


@dataclass(frozen=True)
class Arms:
    """How both arms are when an order comes."""

    at_rest: bool = False  # where they may be let go
    stopped: bool = False  # one reports a stop itself: by its own button, or by an order before `arms` was started anew
    silent: tuple[str, ...] = ()  # those that are not heard
    outside: tuple[str, ...] = ()  # those that are read outside their ranges
    waits: bool = False  # in simulation an order to run waits until it can be obeyed


def obey(machine: Machine, command: messages.Order, arms: Arms) -> tuple[MotorCommand | None, str]:
    """Note an order. Returns what the motors are told at once, and why it was refused (empty: obeyed)."""
    match command.order:
        case "arm":
            return None, _arm(machine, arms)
        case "run":
            return None, _run(machine, arms.waits)
        case "takeover":
            return None, _takeover(machine)
        case "hold":
            machine.wants_run = machine.wants_takeover = False
            machine.bound_for = ""
            machine.held, machine.lost = True, ()
            return None, ""
        case "ready" | "rest":
            return None, _go(machine, command.order)
        case "clear":
            return _clear(machine, command.confirmed, arms)
        case "stop":
            return _stop(machine, command.confirmed, arms)
        case "release":  # pragma: no branch - there is no other order
            return _release(machine, command.confirmed, arms)


def _arm(machine: Machine, arms: Arms) -> str:
    if arms.stopped and not machine.stopped:
        return f"an arm reports an {EMERGENCY_STOP}: support it, then clear with its confirmation"
    if machine.stopped or machine.unfit:
        return STOPPED if machine.stopped else f"not fit to be armed: {machine.unfit}; mend it and start again"
    if arms.silent:
        return f"{arms.silent[0]}, then send arm again"  # motors must not come on later, when nobody expects it
    if arms.outside:
        return f"{arms.outside[0]}, then send arm again"
    machine.wants_arm = machine.wants_power = True
    machine.held = False
    return ""


def _run(machine: Machine, waits: bool) -> str:
    """On a robot it is obeyed at once or not at all: nobody may be near arms that begin to move when a cable is plugged in."""
    if machine.fault:
        return f"{machine.fault}; clear it first"
    if machine.held:
        return "held by the operator; send arm, then run"
    if not machine.wants_arm:
        return "not armed; send arm first"
    if not waits and machine.mode not in _ARMED:
        return f"only armed arms run, they are in {machine.mode}; send run again when they hold"
    if not waits and machine.forbidden and machine.mode != "RUNNING":
        return f"{machine.forbidden[0]}; mend that, then send run again"
    machine.wants_run, machine.bound_for, machine.wants_takeover = True, "", False
    return ""


def _takeover(machine: Machine) -> str:
    machine.wants_run, machine.bound_for = False, ""  # whoever wants to lead the arms does not want the policy to
    if not machine.own_leaders:
        return STOCK_WIRING
    if machine.held:
        return "held by the operator; send arm, then takeover"
    if machine.mode not in _ARMED:
        return f"only armed arms can be led, they are in {machine.mode}"
    machine.wants_takeover, machine.lost = True, ()
    return ""


def _go(machine: Machine, pose: Literal["ready", "rest"]) -> str:
    if machine.mode not in _ARMED:
        return f"only armed arms move to the {pose} pose, they are in {machine.mode}"
    machine.wants_run, machine.bound_for, machine.wants_takeover = False, pose, False
    machine.lost = ()
    return ""


def _clear(machine: Machine, confirmed: bool, arms: Arms) -> tuple[MotorCommand | None, str]:
    stopped = arms.stopped or machine.stopped
    if stopped and not confirmed:
        return None, f"to clear a stop takes the power from the arms: {_CONFIRM}"
    if stopped and arms.silent:
        return None, f"{arms.silent[0]}, then send clear again"  # it would not hear that its stop is taken back
    machine.stopped = machine.stopped or (arms.stopped and machine.mode == "FAULT")
    if machine.mode == "FAULT":
        machine.fault = ""
    machine.wants_power = machine.wants_power and not stopped
    return ("reset" if stopped else None), ""


def _stop(machine: Machine, confirmed: bool, arms: Arms) -> tuple[MotorCommand | None, str]:
    """Whoever is heard is stopped; an arm that is not heard is told nothing later either, when nobody expects it."""
    if not confirmed:
        return None, f"a stop lets the arms sink: {_CONFIRM}; hold keeps them where they are"
    machine.stopped, machine.wants_power = True, False
    machine.fault = "; but ".join((STOPPED, *arms.silent))
    return "stop", ""


def _release(machine: Machine, confirmed: bool, arms: Arms) -> tuple[MotorCommand | None, str]:
    if machine.mode not in ("HOLD", "DISARMED"):
        return None, f"only arms that hold can be released, they are in {machine.mode}"
    if arms.silent:
        return None, f"{arms.silent[0]}, then send release again"
    if not arms.at_rest:
        return None, "the arms are not in their rest pose, they would fall; send rest first"
    if not confirmed:
        return None, f"release takes the power from the arms: {_CONFIRM}"
    machine.wants_arm = machine.wants_power = machine.wants_run = machine.wants_takeover = False
    machine.bound_for = ""
    return "release", ""
