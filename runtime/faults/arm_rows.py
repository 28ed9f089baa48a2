"""Faults of emulated arms and their buses. Numbers are the emulator's: a status or a motor as its frames count them.
Read by robots.py.
"""

import signal

from runtime.faults.injections import Signalled, Switched
from runtime.faults.operations import CorruptLimits, LateEnable
from runtime.faults.row import Row

_OLD = "left arm: feedback is"  # what is told of a silent arm
_ARM_MS = 100.0  # figure of the matrix for an arm that is lost
_APART = "from its command"  # what is told of an arm that does not go where it is told
_APART_MS = 5000.0
"""Figure: until a command is `safety.following_rad` away from the arm, which takes a slow policy that long."""
_LATE_S = 6.0  # longer than a CAN process keeps trying to switch motors on


def _left(name: str, says: str, seen_ms: float = _ARM_MS, held_ms: float = _ARM_MS, **faults: object) -> Row:
    return Row(name, Switched("left", faults), says, seen_ms, held_ms=held_ms)


def _strange(name: str, kind: str) -> Row:
    return _left(name, "left arm: torn frames", strange=kind)


def _turned(name: str, hours: float) -> Row:
    """The PC's wall clock stamps the frames: its kernel's of SocketCAN. Nothing else on the way to a motor reads that clock."""
    fault = Switched("left", {"clock_s": hours * 3600})
    return Row(f"wall clock an hour {name}", fault, "", reaction="none", lasts_s=3.0)


# Figures are the matrix's; what a fault is made of is chosen.
BUSES = (
    _left("silent bus", _OLD, silent=True),
    _left("bus cut off", _OLD, cut=True),
    Row("CAN process stopped", Signalled("can_left", signal.SIGSTOP), _OLD, _ARM_MS, held_ms=_ARM_MS),
    Row("CAN process killed", Signalled("can_left", signal.SIGKILL), _OLD, _ARM_MS, held_ms=_ARM_MS),
)
# Figures are the matrix's; what a fault is made of is chosen.
ARMS = (
    _left("stop status", "left arm: status 1", status=1),
    _left("status 4", "left arm: status 4", status=4),
    _left("joint does not communicate", "left arm: joint 1 does not communicate", error_bits=1),
    _left("joint outside its range", "left arm: joint 2 is outside its range", error_bits=1 << 9),
    _left("leader plugged in", "left arm: another sender commands it", leader=True),
    _left("arm set to lead", _OLD, leads="silent"),
    _left("arm reports as a leader", _OLD, leads="feedback"),
    Row(
        "arm reports only its joints",
        Switched("left", {"mute": True}),
        "reports its joints but not",
        1500,
        held_ms=1500,
    ),
    _left("torn joint triples", "joint readings were torn", torn=True),
    _left("gripper stuck", "left arm: gripper reports", gripper_stuck=True),
    _left("teach mode", "left arm: in teach mode", teaching=True),
    _left("motor error", "left arm: motor 3 reports: driver error", motor_error=3),
    _left("hot motor", "left arm: motor 5 is", hot_motor=5),
    _left("motor stalled", "left arm: motor 2 reports: stalled", motor_bits=0x80),
    _left("gripper's sensor", "left arm: gripper reports", gripper_bits=0x10),
    _left("another program's frames", "left arm: another sender commands it", foreign=0x151),
    _left("sending fails", "left arm: targets cannot be sent", send_fails=True),
    _left("targets lost on the way", _APART, _APART_MS, held_ms=_APART_MS, deaf=True),
    _left("arm repeats its feedback", _APART, _APART_MS, held_ms=_APART_MS, frozen=True),
)
# Figures are the matrix's; what a fault is made of is chosen.
READINGS = (
    Row(
        "one false joint reading", Switched("left", {"jump_rad": 1.5, "jump_every": 400}), "left arm: reading jumped: j1",
        seen_ms=2500, reaction="none", lasts_s=3.0,
    ),
    _left("false joint readings", "readings in a row jumped", jump_joint=6, jump_rad=6.28),
    _strange("frames that are no feedback", "short"),
    _strange("empty frames", "empty"),
    _strange("remote frames", "remote"),
    _strange("extended frames", "extended"),
    _strange("error frames", "error"),
    _turned("ahead", 1.0),
    _turned("back", -1.0),
)  # fmt: skip
# Figures are the matrix's; what a fault is made of is chosen.
SWITCHED_ON = (
    Row("late enable", LateEnable(_LATE_S), "not enabled within", seen_ms=3500, reaction="none", running=False),
    Row("corrupt limits", CorruptLimits(), "doctor: ", seen_ms=5000, reaction="none"),
)
