"""What a CAN bus carries, by frame number, and what that tells of an arm that gives no feedback.

Kept by drivers/piper_bus.py for every frame; asked by the driver, the CAN process and the doctor. An arm that is set to lead
(frame 0x470) is no arm without power: it sends its feedback at other numbers, or nothing at all while nobody moves it.
"""

import time
from dataclasses import dataclass

from drivers.piper_frames import COMMAND_IDS, JOINT_COMMAND_IDS, JOINT_IDS, Id

_FEEDBACK_IDS = range(Id.STATUS, Id.GRIPPER + 1)
_MOTOR_IDS = (*range(Id.FAST, Id.FAST + 6), *range(Id.SLOW, Id.SLOW + 6))  # six motors (drivers/piper_frames.py)
_ANSWER_IDS = (Id.LIMITS, Id.ACCELERATION, Id.FIRMWARE)
_LEADING, _SHIFTED = 0x100, (0x10, 0x20)
"""How far an arm's feedback is shifted in the leader state (pyAgxArm#55), and where frame 0x470 says so (MasterSlaveConfig)."""
_SHOWN = 4  # frame numbers in a message; chosen: it stays one line
_FOLLOW = "set it to follow with the vendor's tool (frame 0x470, 0xfc), then power-cycle it"
_MOVE = "move it by hand, and power-cycle it if still no targets come"
_POWER = "check its power, CAN cable and terminating resistor"


@dataclass(frozen=True)
class Finding:
    """What a bus carries, and what to do about it."""

    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.found}; {self.remedy}"


class Traffic:
    """When each frame number was heard last since the bus was opened; what is no frame of a Piper counts besides."""

    def __init__(self) -> None:
        self._heard_ns: dict[int, int] = {}
        self._no_frames: dict[str, int] = {}  # by what they are, when last

    def note(self, number: int) -> None:
        """A frame of that number has come."""
        self._heard_ns[number] = time.monotonic_ns()

    def note_none(self, why: str) -> None:
        """Something has come that no Piper sends; `why` says what it is."""
        self._no_frames[why] = time.monotonic_ns()

    def of_an_arm(self, since_ns: int = 0) -> Finding | None:
        """What is on the bus since then in place of an arm's feedback; None: nothing at all, or its feedback."""
        heard = sorted(number for number, at_ns in list(self._heard_ns.items()) if at_ns > since_ns)
        if any(number in JOINT_IDS for number in heard):
            return None
        if leading := [number for number in heard if number - _LEADING in _FEEDBACK_IDS]:
            return Finding(f"it is set to lead: its feedback comes as {_listed(leading)}", _FOLLOW)
        if shifted := [number for number in heard if any(number - by in _FEEDBACK_IDS for by in _SHIFTED)]:
            return Finding(f"its feedback is shifted to {_listed(shifted)}", _FOLLOW)
        if any(number in _FEEDBACK_IDS or number in _MOTOR_IDS for number in heard):
            return Finding(f"it sends frames {_listed(heard)}, but no joint feedback", "power-cycle it")
        if heard and all(number in _ANSWER_IDS for number in heard):
            found = f"it answers queries ({_listed(heard)}) but sends no feedback, as an arm set to lead does"
            return Finding(found, _FOLLOW)
        if any(number in JOINT_COMMAND_IDS for number in heard):
            found = f"its bus carries the targets of a leader ({_listed(heard)}) and no feedback"
            return Finding(found, f"if it is this arm that leads, {_FOLLOW}; else check its power")
        return self._of_nobody(heard, since_ns)

    def of_a_leader(self) -> Finding | None:
        """What is on a leader's bus in place of its targets; None: nothing at all, or its targets."""
        heard = sorted(self._heard_ns)
        if any(number in JOINT_COMMAND_IDS for number in heard):
            return None
        if any(number - _LEADING in _FEEDBACK_IDS for number in heard):
            return Finding(f"it leads, but sends no targets ({_listed(heard)})", _MOVE)
        if any(number in _FEEDBACK_IDS for number in heard):
            remedy = "set it to lead with the vendor's tool (frame 0x470, 0xfa), then power-cycle it"
            return Finding(f"it is set to follow: it sends feedback ({_listed(heard)})", remedy)
        return self._of_nobody(heard, 0)

    def _of_nobody(self, heard: list[int], since_ns: int) -> Finding | None:
        if heard:
            who = "another sender's commands" if all(number in COMMAND_IDS for number in heard) else "other frames"
            return Finding(f"its bus carries only {who} ({_listed(heard)}), and nothing from an arm", _POWER)
        strange = [why for why, at_ns in list(self._no_frames.items()) if at_ns > since_ns]
        if strange:
            return Finding(
                f"its bus carries only frames that no Piper sends ({strange[0]})", f"{_POWER}, and the bit rate"
            )
        return None


def of_silence(state: str) -> Finding:
    """What a bus that carries nothing tells, by the state of the kernel's interface; empty where that is not known."""
    if state == "ERROR-ACTIVE":  # what we sent was acknowledged, else the interface would count errors
        found = "no frames on its bus, but ours are acknowledged: it may be set to lead, and is then silent until moved"
        return Finding(found, f"move it by hand and check again; if it leads, {_FOLLOW}")
    if state in ("ERROR-WARNING", "ERROR-PASSIVE"):
        return Finding("no frames on its bus, and ours are not acknowledged", _POWER)
    return Finding("no frames on its bus", f"{_POWER}; an arm that is set to lead is silent: {_FOLLOW}")


def _listed(numbers: list[int]) -> str:
    more = ", ..." if len(numbers) > _SHOWN else ""
    return ", ".join(f"0x{number:03x}" for number in numbers[:_SHOWN]) + more
