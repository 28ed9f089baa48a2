"""Commands to an arm's motors, from when they are taken up until the arm shows that they are carried out. Deterministic.
Called by can_bus_step.py at each look at the slot.

A frame that is sent once may never arrive: an adapter can go on receiving while it sends nothing, and tells it late or never.
So a command is sent again until the arm reports what it makes of it, for 2 s. `release` and `reset` let an arm fall: they end
with the next command, whichever it is, and none outlives its connection.
"""

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from drivers.arm import NOT_CARRIED_OUT, MotorCommand
from drivers.arm_link import ArmCommand
from drivers.piper import ENABLE_EVERY_S
from runtime.host.clock import seconds

ENABLE_S = 3.0
"""Chosen: an arm needs two or more EnableArm frames, which go out every 50 ms; then a person has to look."""
_EVERY_S = ENABLE_EVERY_S
"""Between two tries, and from one until the arm is judged: two states of every motor (25 ms each) come meanwhile."""
_UNSENT_S, _UNSHOWN_S = 0.1, 0.3
"""After which the operator is told of what cannot be sent, and of what the arm does not show. Chosen: two tries failed, and it
is the time in which a fault has to show; six tries, since a busy machine was seen to take 0.1 s (emulated arm), and nobody
shall reach for the power switch of an arm that obeys."""
_REPEATED_S = 2.0
"""Longest repetition. Chosen: a person who was told in the first second has reached for the power switch by then. What the
kernel took and the adapter has not sent yet cannot be taken back: it may still go out when the adapter recovers."""
_COMMANDS = {"stop": "stop", "release": "release", "reset": "clear"}  # what the operator sent
MotorAction = MotorCommand | Literal["give up", ""]


@dataclass
class MotorState:
    """What is remembered of commands to the motors between two looks."""

    obeyed: int  # number of the newest command that was taken up
    _: KW_ONLY
    pending: MotorCommand | None = None  # that one, until the arm shows it
    since_ns: int = 0
    tried_ns: int = 0  # when it was sent or judged last; 0: not yet
    over: bool = False  # it is sent no more, though the arm does not show it
    error: str = ""  # why it could not be sent


@dataclass(frozen=True)
class Shown:
    """What is known of an arm at a look."""

    well: bool  # it is on and reports no fault: there is nothing to enable
    done: bool = False  # it reports what the pending command makes of it
    error: str = ""  # why the command could not be sent the last time; empty: it was


def next_action(state: MotorState, command: ArmCommand, shown: Shown, now_ns: int) -> MotorAction:
    """What to do about the commands to the motors: one action a look.

    A command to enable is passed over where another came after it. The others are all sent, in their order; only the newest
    is sent again.

    Args:
        state: Changed in place.
        command: What `arms` wrote last: motor commands by number.
        shown: Of the arm now.
        now_ns: CLOCK_MONOTONIC.

    Returns:
        One action; empty: nothing to do.
    """
    if new := command.since(state.obeyed):
        place = next((place for place, motor_command in enumerate(new) if motor_command != "enable"), len(new) - 1)
        state.obeyed = command.number - len(new) + place + 1
        state.pending, state.since_ns, state.tried_ns, state.over, state.error = new[place], now_ns, 0, False, ""
    if state.pending is None or (state.tried_ns and not due(state, now_ns)):
        return _end_enabling(state) if shown.well else ""
    return _enable(state, shown, now_ns) if state.pending == "enable" else _repeat(state, shown, now_ns)


def due(state: MotorState, now_ns: int) -> bool:
    """Whether the arm has had the time to show the command that was sent last."""
    return state.pending is not None and state.tried_ns != 0 and now_ns - state.tried_ns >= seconds(_EVERY_S)


def not_carried_out(state: MotorState, now_ns: int) -> str:
    """Which command the arm does not show, why, and the remedy; empty: none, or it has the time yet."""
    late_ns = seconds(_UNSENT_S if state.error else _UNSHOWN_S)
    if state.pending is None or state.pending == "enable" or now_ns - state.since_ns < late_ns:
        return ""
    within = f" within {_REPEATED_S:.0f} s" if state.over else ""
    why = f"it cannot be sent: {state.error}" if state.error else "the arm does not report it"
    return f"`{_COMMANDS[state.pending]}` {NOT_CARRIED_OUT}{within}: {why}; support the arm, then use its power switch"


def keep_undone(state: MotorState, before: MotorState) -> None:
    """Go on telling, on a new connection, what was not carried out on the one before; it is not sent again.

    Args:
        state: Of the new connection; changed.
        before: Of the old one. A command that came while the bus was closed ends that, too.
    """
    if state.obeyed == before.obeyed and before.pending != "enable":
        state.pending, state.since_ns, state.error = before.pending, before.since_ns, before.error
        state.tried_ns, state.over = before.tried_ns, True


def _end_enabling(state: MotorState) -> MotorAction:
    if state.pending == "enable":
        state.pending = None
    return ""


def _enable(state: MotorState, shown: Shown, now_ns: int) -> MotorAction:
    if shown.well:
        return _end_enabling(state)
    if now_ns - state.since_ns > seconds(ENABLE_S):
        state.pending = None
        return "give up"
    state.tried_ns = now_ns
    return "enable"


def _repeat(state: MotorState, shown: Shown, now_ns: int) -> MotorAction:
    """Send it for the first time, or again unless the arm shows it or it took too long."""
    if state.tried_ns:
        if shown.done:
            state.pending = None
            return ""
        state.error = shown.error or state.error
        state.over = state.over or now_ns - state.since_ns >= seconds(_REPEATED_S)
    state.tried_ns = now_ns
    return "" if state.over else (state.pending or "")
