"""What an arm's CAN process does about the newest command and target at each look at its slot. Deterministic.
Called by can_bus.py.

Targets pass through a stream that brakes the arm where they stop coming (runtime/arms/target_stream.py). An arm that was not
sent anything for a while, or that reported a fault, takes targets again only from near where it is. Motors are switched only
by command.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from drivers.arm import ARM_JOINTS
from drivers.arm_link import STILL, ArmCommand
from drivers.cobot_magic import SIDES
from runtime.arms.limits import Array, Limits
from runtime.arms.target_stream import TargetStream
from runtime.config.settings import Settings
from runtime.devices import motor_commands
from runtime.devices.motor_commands import MotorAction, MotorState, Shown
from runtime.host.clock import seconds

REJOIN_RAD = 0.2  # chosen: below `safety.jump_rad` (0.35); at 3 rad/s the way of 0.07 s
_GAP_S = 0.15  # without anything sent: by then `arms` brakes, for want of readings or time; chosen: three times FRESH_S
Action = MotorAction | Literal["send", "too far"]


@dataclass(kw_only=True)
class CanBusState(MotorState):
    """What `step` remembers of commands and targets between two looks."""

    stream: TargetStream  # what it was sent, and where that leads


@dataclass(frozen=True)
class Arm:
    """What `step` has to know of the arm: power, fault, where it is and was last said to be, what it shows."""

    powered: bool
    fault: str = ""
    newest: tuple[Array, ...] = (
        STILL,
    )  # (7,) its last few readings, of which one may be false; none: it was never heard
    q: Array = field(default_factory=lambda: np.zeros(ARM_JOINTS))
    done: bool = False  # it reports what the pending command makes of it
    error: str = ""  # why that command could not be sent


def step(bus_state: CanBusState, command: ArmCommand, arm: Arm, now_ns: int) -> Action:
    """What to do about the newest command and target.

    Commands to the motors are sent until the arm shows them (motor_commands.py). Targets and the steps of a stop go to an arm
    that is on and well; after a gap only if they are near, and from where it is.

    Args:
        bus_state: Changed in place.
        command: What `arms` wrote last: motor commands by number, and a target (7,).
        arm: How it is now.
        now_ns: CLOCK_MONOTONIC.

    Returns:
        One action; empty: nothing to do. `send`: what `bus_state.stream` has made of the targets.
    """
    well = arm.powered and not arm.fault
    action = motor_commands.next_action(bus_state, command, Shown(well, arm.done, arm.error), now_ns)
    if not well:
        bus_state.stream.end()
    elif not action:
        return _send(bus_state.stream, command, arm, now_ns)
    return action


def _send(stream: TargetStream, command: ArmCommand, arm: Arm, now_ns: int) -> Action:
    """Whether an arm that is on and well is sent something now."""
    if interrupted(stream, now_ns):
        first = stream.due(command, now_ns)
        if first is None:
            return ""
        if apart_rad(arm.newest, first) > REJOIN_RAD:
            stream.pass_over()
            return "too far"
        if not stream.begun:
            stream.begin(arm.q, first.stamp_ns)
    return "send" if stream.step(command, now_ns) else ""


def apart_rad(newest: Sequence[Array], target: ArmCommand) -> float:
    """The largest distance of a joint from a target, by the last readings (7,) of an arm; infinite without any."""
    return max((float(np.abs(target.q - q)[:-1].max()) for q in newest), default=math.inf)


def interrupted(stream: TargetStream, now_ns: int) -> bool:
    """Whether an arm was sent nothing for so long that it may be elsewhere."""
    return not stream.begun or stream.silent_ns(now_ns) > seconds(_GAP_S)


def stream_of(settings: Settings, side: str) -> TargetStream:
    """The stream of one side's targets, by the limits and the rate of the settings."""
    at = ARM_JOINTS * SIDES.index(side)
    return TargetStream(Limits.of(settings.safety).table[:, at : at + ARM_JOINTS], 1 / settings.arms.rate_hz)
