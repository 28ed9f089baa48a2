"""A Piper set to lead, on a bus of its own, through the real piper_sdk: where somebody's hand moves it. Nothing is ever sent.

Called by runtime/devices/leader_bus.py and the doctor. A leader sends only targets, as if to a follower (0x155 to 0x157 and
0x159), and no feedback of its own.
"""

import time
from collections.abc import Callable
from typing import Any

import can
import numpy as np

from drivers.piper_bus import PiperBus
from drivers.piper_frames import JOINT_COMMAND_IDS, Array, from_wire
from drivers.piper_traffic import Finding
from drivers.piper_triple import Triple

_MOTORS = range(1, 7)  # numbers in the SDK's names


class PiperLeader:
    """One leader arm. `tell` is called in its bus's thread with where it was moved, q (7,) rad and m, and when, ns."""

    def __init__(self, side: str, channel: str, interface: str, tell: Callable[[Array, int], None]) -> None:
        self.name = side
        self._tell = tell
        self._sets = Triple(JOINT_COMMAND_IDS)
        self._bus = PiperBus(f"{side} leader on {channel}", channel, interface, self._heard, lambda why: None)

    def connect(self) -> None:
        """Open the bus and listen; targets come by themselves. Raises DriverError when there is no such bus."""
        self._sets = Triple(JOINT_COMMAND_IDS)
        self._bus.open()

    def close(self) -> None:
        """Let go of the bus; `tell` is called no more then."""
        self._bus.close()

    def silence(self) -> Finding | None:
        """What its bus carries instead of targets; None: nothing."""
        return self._bus.traffic.of_a_leader()

    def _heard(self, message: can.Message) -> None:
        """Note a frame; a whole set of joints is passed on. Called by the bus's reading thread."""
        number = message.arbitration_id
        if number in JOINT_COMMAND_IDS and self._sets.whole(number, message.timestamp, time.monotonic_ns()):
            self._tell(led_to(self._bus.sdk), self._sets.began_ns)


def led_to(sdk: Any) -> Array:
    """The newest target of a leader, q (7,) rad and m, out of what the SDK heard last; zeros before anything."""
    reported, gripper = sdk.GetArmJointCtrl().joint_ctrl, sdk.GetArmGripperCtrl().gripper_ctrl
    joints = from_wire([getattr(reported, f"joint_{motor}") for motor in _MOTORS])
    return np.append(joints, gripper.grippers_angle / 1e6)
