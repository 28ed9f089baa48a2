"""A Piper set to lead, on a bus of its own, through the real piper_sdk: where somebody's hand leads it. Nothing is ever sent.

It speaks only as if to a follower (0x155-157 and 0x159) and gives no feedback of its own.
"""

import time
from collections.abc import Callable
from typing import Any

import can
import numpy as np

from drivers.piper_bus import PiperBus
from drivers.piper_frames import JOINT_COMMAND_IDS, Array, from_wire
from drivers.piper_triple import Triple

_MOTORS = range(1, 7)


class PiperLeader:
    """One leader arm. `tell` is given where it is led, q (7,) rad and m, and when (CLOCK_MONOTONIC ns), by its bus's thread."""

    def __init__(self, side: str, channel: str, interface: str, tell: Callable[[Array, int], None]) -> None:
        self.name = side
        self._tell = tell
        self._sets = Triple(JOINT_COMMAND_IDS)
        self._bus = PiperBus(f"{side} leader on {channel}", channel, interface, self._heard, lambda why: None)

    def connect(self) -> None:
        """Open the bus; targets come by themselves. Raises DriverError."""
        self._sets = Triple(JOINT_COMMAND_IDS)
        self._bus.open()

    def close(self) -> None:
        """Let go of the bus."""
        self._bus.close()

    def _heard(self, message: can.Message) -> None:
        """Called by the bus's reading thread for every frame."""
        number = message.arbitration_id
        if number in JOINT_COMMAND_IDS and self._sets.whole(number, message.timestamp, time.monotonic_ns()):
            self._tell(led_to(self._bus.sdk), self._sets.began_ns)


def led_to(sdk: Any) -> Array:
    """Where a leader leads, q (7,) rad and m, of what the SDK heard last."""
    reported, gripper = sdk.GetArmJointCtrl().joint_ctrl, sdk.GetArmGripperCtrl().gripper_ctrl
    joints = from_wire([getattr(reported, f"joint_{motor}") for motor in _MOTORS])
    return np.append(joints, gripper.grippers_angle / 1e6)
