"""What becomes of an operator's order: obeyed, or refused with the reason. Pure; the mode follows in runtime/safety.py.

`stop`, `release`, and to clear a stop take the power from arms that may fall: somebody has to stand beside them and confirm.
"""

from drivers.arm import Drive
from runtime import wire
from runtime.safety import Machine

_CONFIRM = "support the arms, then give the order again with its confirmation"
STOPPED = "stopped by an operator, the arms have sunk; support them, then clear with its confirmation"


def obey(machine: Machine, order: wire.Order, at_rest: bool) -> tuple[Drive | None, str]:
    """Note an order. Returns what the motors are told at once, and why it was refused (empty: obeyed).

    `at_rest`: both arms are where they may be let go.
    """
    match order.order:
        case "arm":
            return None, _arm(machine)
        case "run":
            return None, _run(machine)
        case "hold":
            machine.wants_run = machine.wants_rest = False
            return None, ""
        case "rest":
            return None, _rest(machine)
        case "clear":
            return _clear(machine, order.confirmed)
        case "stop":
            return _stop(machine, order.confirmed)
        case "release":  # pragma: no branch - there is no other order
            return _release(machine, order.confirmed, at_rest)


def _arm(machine: Machine) -> str:
    if machine.stopped or machine.unfit:
        return STOPPED if machine.stopped else f"not fit to be armed: {machine.unfit}; mend it and start again"
    machine.wants_arm = machine.wants_power = True
    return ""


def _run(machine: Machine) -> str:
    if machine.fault:
        return f"{machine.fault}; clear it first"
    machine.wants_run, machine.wants_rest = True, False
    return ""


def _rest(machine: Machine) -> str:
    if machine.mode not in ("HOLD", "RUNNING"):
        return f"only armed arms move to rest, they are in {machine.mode}"
    machine.wants_run, machine.wants_rest = False, True
    return ""


def _clear(machine: Machine, confirmed: bool) -> tuple[Drive | None, str]:
    if machine.stopped and not confirmed:
        return None, f"to clear a stop takes the power from the arms: {_CONFIRM}"
    if machine.mode == "FAULT":
        machine.fault = ""
    return ("reset" if machine.stopped else None), ""


def _stop(machine: Machine, confirmed: bool) -> tuple[Drive | None, str]:
    if not confirmed:
        return None, f"a stop lets the arms sink: {_CONFIRM}; hold keeps them where they are"
    machine.stopped, machine.fault = True, STOPPED
    return "stop", ""


def _release(machine: Machine, confirmed: bool, at_rest: bool) -> tuple[Drive | None, str]:
    if machine.mode not in ("HOLD", "DISARMED"):
        return None, f"only arms that hold can be released, they are in {machine.mode}"
    if not at_rest:
        return None, "the arms are not in their rest pose, they would fall; order rest first"
    if not confirmed:
        return None, f"release takes the power from the arms: {_CONFIRM}"
    machine.wants_arm = machine.wants_run = machine.wants_rest = False
    return "release", ""
