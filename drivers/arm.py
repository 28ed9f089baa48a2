"""What every arm driver does and what it reports. The same contract suite runs on all of them.

Used by runtime/arms (SlotArm, LinkedArm, SimulatedArm) and by the CAN processes (PiperArm).
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

ARM_JOINTS = 7  # six joints in radians and the gripper opening in metres
MotorCommand = Literal["enable", "stop", "release", "reset"]
"""What an operator can ask of an arm's motors; no driver does any of it by itself."""
EMERGENCY_STOP = "emergency stop"
"""The warning of an arm that was stopped, by us or by its own button, until a reset takes the stop back."""
NOT_CARRIED_OUT = "not carried out"
"""In the warning of an arm that was stopped, released or reset by us and does not show it."""


@dataclass(frozen=True)
class ArmState:
    """One reading of an arm. Arrays are (7,) float64: six joints, then the gripper; never changed after creation."""

    number: int  # counts readings of the device; the same number means the same reading
    stamp_ns: int  # CLOCK_MONOTONIC time of the measurement
    q: NDArray[np.float64]  # rad; gripper opening m
    dq: NDArray[np.float64]  # rad/s; m/s
    effort: NDArray[np.float64]  # N m; N
    powered: bool = True  # its motors are on, and follow our targets
    warning: str = ""  # why it should not move now
    fault: str = ""  # why it must not move before a person has looked at it
    leader: NDArray[np.float64] | None = None  # (7,) the last target that a leader arm on its bus sent
    leader_ns: int = 0  # when that came


class Arm(Protocol):
    """A six-joint arm with a gripper. No driver resets, disables or zeroes it by itself."""

    name: str

    def connect(self) -> None:
        """Open the connection; moves and powers nothing. Raises DriverError with the remedy when the device does not answer."""
        ...

    def enable(self, timeout_s: float) -> None:
        """Switch the motors on where they are, which moves nothing. Raises DriverError after `timeout_s`."""
        ...

    def read(self) -> ArmState | None:
        """The newest reading, without waiting; None before the first one. Its number tells whether it is new."""
        ...

    def command(self, q: NDArray[np.float64], now_ns: int) -> None:
        """Send one target: q (7,) radians and metres, already within every limit."""
        ...

    def hold(self, now_ns: int) -> None:
        """Send the last target again, so that the arm stays there; does nothing before the first one."""
        ...

    def stop(self) -> None:
        """The damped stop: motors off but braking, so the arm sinks slowly. `reset` takes it back."""
        ...

    def release(self) -> None:
        """Take the power from the motors: the arm falls if nothing carries it."""
        ...

    def reset(self) -> None:
        """Take a stop back; that takes the power too, so the arm falls if nothing carries it."""
        ...

    def close(self) -> None:
        """Let go of the connection. The arm stays powered and holds."""
        ...
