"""What a Piper has reported on this connection: its joints whole or torn, its other states lately or not. Its newest reading.

Called by drivers/piper.py for every frame. The SDK remembers what it heard for ever, so what it holds is believed only where
the frames behind it came on this connection, and lately.
"""

import time
from collections import deque
from collections.abc import Set
from typing import Any

import numpy as np

from drivers.arm import ARM_JOINTS
from drivers.piper_frames import JOINT_IDS, Array, Id, from_wire
from drivers.piper_triple import Triple
from drivers.piper_warnings import MOTORS

# Frames besides the joints' that the arm must have sent before it is believed, and their names in messages.
MOTOR_STATES = {Id.SLOW + n - 1: f"the state of motor {n}" for n in MOTORS}
_STATES = {Id.STATUS: "the arm's status", Id.GRIPPER: "the gripper's state", **MOTOR_STATES}
_STATE_SETS = 18
"""Sets of joints (200 a second) without a frame of some state that are a warning: 90 ms. Motors report 40 times a second, so
three of their frames are missing then; chosen below the 100 ms in which a fault has to show."""
_TORN_SETS = 3  # of the newest 20 (Triple) that are a warning; chosen: one alone happens, and hurts nobody
_NO_FRAMES, _NO_FRAMES_NS = 3, 100_000_000
"""So many frames that are no feedback, within that time, are a warning. Chosen: one alone happens; 100 ms as above."""


class Reports:
    """Counts the frames of one connection; made anew for the next one."""

    def __init__(self) -> None:
        self.joints = Triple(JOINT_IDS)
        self._no_frames: deque[tuple[int, str]] = deque(maxlen=_NO_FRAMES)  # when, and what
        self._sets_without: dict[int, int] = {}  # whole sets of joints since each of the states above
        self._states: set[int] = set()

    def note(self, number: int) -> bool:
        """Note a frame by its id. Returns whether it is one of a state, not of joints or commands."""
        if number not in _STATES:
            return False
        self._sets_without[number] = 0
        self._states.add(number)
        return True

    def note_no_frame(self, why: str) -> None:
        """Note a frame that is no feedback, and why."""
        self._no_frames.append((time.monotonic_ns(), why))

    def include(self, numbers: Set[int]) -> bool:
        """Whether frames of all these ids came."""
        return self._states >= numbers

    @property
    def lacking(self) -> str:
        """The first state that has not come; empty: all have."""
        return next((name for number, name in _STATES.items() if number not in self._states), "")

    def overdue(self) -> str:
        """Note a whole set of joints. Returns which state was not reported lately: what the SDK holds of it may be old."""
        found = ""
        for number, name in _STATES.items():
            sets = self._sets_without[number] = self._sets_without.get(number, 0) + 1
            if sets > _STATE_SETS and not found:
                found = f"reports its joints but not {name}; check the CAN cable"
        return found

    def torn(self) -> str:
        """Why its readings are not to be believed now; empty: they are. It passes when the bus is well again."""
        torn = self.joints.torn
        if torn >= _TORN_SETS:
            return f"{torn} of its last {self.joints.watched} joint readings were torn; check the CAN cable"
        no_frames = tuple(self._no_frames)
        if len(no_frames) == _NO_FRAMES and time.monotonic_ns() - no_frames[0][0] < _NO_FRAMES_NS:
            return f"torn frames: {no_frames[-1][1]}; check the CAN cable"
        return ""


def measured(sdk: Any) -> tuple[Array, Array, Array]:
    """The newest reading, out of what the SDK heard last: q rad and m, dq rad/s, effort N m, each (7,).

    The gripper reports no speed: its dq is 0.
    """
    feedback, fast = sdk.GetArmJointMsgs().joint_state, sdk.GetArmHighSpdInfoMsgs()
    gripper = sdk.GetArmGripperMsgs().gripper_state
    motors = [getattr(fast, f"motor_{motor}") for motor in MOTORS]
    q, dq, effort = np.zeros(ARM_JOINTS), np.zeros(ARM_JOINTS), np.zeros(ARM_JOINTS)
    q[:6] = from_wire([getattr(feedback, f"joint_{motor}") for motor in MOTORS])
    q[6] = gripper.grippers_angle / 1e6
    dq[:6] = [motor.motor_speed / 1e3 for motor in motors]
    effort[:6] = [motor.effort / 1e3 for motor in motors]
    effort[6] = gripper.grippers_effort / 1e3
    return q, dq, effort
