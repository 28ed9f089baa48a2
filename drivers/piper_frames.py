"""The CAN frames of a Piper (standard ids, 8 bytes, big-endian, 1 Mbit/s), both ways; the arm's other end of piper_sdk.

Used by the emulator, the preflight and the tests; the driver itself speaks through piper_sdk. Source: Agilex' CAN protocol V2.
Units on the wire: 0.001 degree, 0.001 mm, 0.001 N m.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Frame = tuple[int, bytes]  # id, data
_MILLI_DEGREES = 180_000 / np.pi  # 0.001 degrees in a radian
_MICRO = 1e6  # 0.001 mm in a metre
_TWO = struct.Struct(">ii")
_GRIPPER_COMMAND = struct.Struct(">iHBB")
_GRIPPER_IS = struct.Struct(">ihBx")
_STATUS = struct.Struct(">BBBBBBH")
_FAST = struct.Struct(">hhi")
_SLOW = struct.Struct(">HhbBH")
_LIMITS = struct.Struct(">BhhHx")
_ACCELERATION = struct.Struct(">BHxxxxx")


class Id(IntEnum):
    """Ids of frames by what they hold; of several in a row the first."""

    STOP = 0x150
    MODE = 0x151
    JOINT_COMMAND = 0x155  # to 0x157, two joints each
    GRIPPER_COMMAND = 0x159
    LEADER = 0x470
    ENABLE = 0x471
    ASK_LIMITS = 0x472
    LIMITS = 0x473
    ZERO = 0x475
    ACCELERATION = 0x47C
    STATUS = 0x2A1
    END_POSE = 0x2A2  # to 0x2A4
    JOINTS = 0x2A5  # to 0x2A7
    GRIPPER = 0x2A8
    FAST = 0x251  # to 0x256, a motor each
    SLOW = 0x261  # to 0x266
    FIRMWARE = 0x4AF


JOINT_IDS = (Id.JOINTS, Id.JOINTS + 1, Id.JOINTS + 2)  # of feedback, two joints each
JOINT_COMMAND_IDS = (Id.JOINT_COMMAND, Id.JOINT_COMMAND + 1, Id.JOINT_COMMAND + 2)  # two joints each
COMMAND_IDS = (Id.STOP, Id.MODE, *range(0x152, 0x15A), *range(0x15A, 0x160), Id.LEADER, Id.ENABLE, Id.ZERO)
"""What moves, stops or switches an arm: on its bus only we may send it. 0x152 to 0x15F hold targets of every kind."""


@dataclass(frozen=True)
class GripperCommand:
    """What a 0x159 frame asks of the gripper."""

    opening_m: float
    effort_nm: float
    code: int  # 0 off, 1 on, 2 off and clear errors, 3 on and clear errors
    zero: bool


@dataclass(frozen=True)
class Mode:
    """A 0x151 frame: who controls the arm, and how it goes to its targets."""

    control: int  # 0 standby, 1 by CAN
    move: int  # 0 P, 1 J, 2 L, 3 C, 4 M, 5 CPV
    speed_percent: int
    mit: int  # 0xAD: torque control


@dataclass(frozen=True)
class Status:
    """A 0x2A1 frame: the state of the arm as a whole."""

    control: int  # 0 standby, 1 by CAN, 2 teaching
    status: int  # 0 normal; drivers/piper_warnings.py has the others' texts
    mode: int = 1
    teach: int = 0
    moving: int = 0
    trajectory: int = 0
    errors: int = 0  # bits 0 to 5: joints 1 to 6 do not communicate; 8 to 13: they are beyond their ranges


@dataclass(frozen=True)
class Motor:
    """A 0x261 to 0x266 frame: supply, temperatures and state of one motor."""

    volt: float
    driver_celsius: int
    motor_celsius: int
    status: (
        int  # bit 0 voltage low, 1 motor hot, 2 overcurrent, 3 driver hot, 4 collision, 5 error, 6 enabled, 7 stalled
    )
    ampere: float


def to_wire(q_rad: Array) -> list[int]:
    """Angles (N,) in rad to whole 0.001 degrees, rounded to the nearest."""
    return [round(float(value)) for value in np.asarray(q_rad) * _MILLI_DEGREES]


def from_wire(values: Sequence[int] | Sequence[Sequence[int]]) -> Array:
    """Angles in 0.001 degrees, of any shape, to rad; float64, exact to the wire's step of 1.7e-5 rad."""
    return np.asarray(values, np.float64) / _MILLI_DEGREES


def joints(q_rad: Array, first_id: int = Id.JOINTS) -> list[Frame]:
    """Three frames of the six joints (6,), rad: feedback, or from `Id.JOINT_COMMAND` on a target."""
    values = to_wire(q_rad)
    return [(first_id + pair, _TWO.pack(*values[2 * pair : 2 * pair + 2])) for pair in range(3)]


def gripper(opening_m: float, effort_nm: float, status: int) -> Frame:
    """The gripper's feedback; bit 6 of its status: enabled, bit 7: homed, the others as a motor's."""
    return Id.GRIPPER, _GRIPPER_IS.pack(round(opening_m * _MICRO), round(effort_nm * 1e3), status)


def gripper_command(data: bytes) -> GripperCommand:
    """What the 8 bytes of a 0x159 frame ask for, in m and N m."""
    opening, effort, code, zero = _GRIPPER_COMMAND.unpack(data)
    return GripperCommand(opening / _MICRO, effort / 1e3, code, zero == 0xAE)


def grip(opening_m: float, effort_nm: float) -> Frame:
    """A 0x159 frame that switches the gripper on and sends it to an opening, with at most that effort."""
    return Id.GRIPPER_COMMAND, _GRIPPER_COMMAND.pack(round(opening_m * _MICRO), round(effort_nm * 1e3), 1, 0)


def follow_joints() -> Frame:
    """A 0x151 frame: control by CAN, MOVE J, 100 % speed."""
    return Id.MODE, bytes((1, 1, 100, 0, 0, 0, 0, 0))


def mode(data: bytes) -> Mode:
    """What the data of a 0x151 frame ask for; the bytes after the fourth are not looked at."""
    return Mode(*data[:4])


def status(reported: Status) -> Frame:
    """A 0x2A1 frame, as the arm sends it."""
    values = (
        reported.control,
        reported.status,
        reported.mode,
        reported.teach,
        reported.moving,
        reported.trajectory,
        reported.errors,
    )
    return Id.STATUS, _STATUS.pack(*values)


def fast(motor: int, speed_rad_s: float, ampere: float, place_rad: float) -> Frame:
    """A 0x251 to 0x256 frame of motor 1 to 6, which the arm sends 200 times a second."""
    return Id.FAST + motor - 1, _FAST.pack(round(speed_rad_s * 1e3), round(ampere * 1e3), round(place_rad * 1e3))


def slow(motor: int, reported: Motor) -> Frame:
    """A 0x261 to 0x266 frame of motor 1 to 6: 0.1 V, degrees Celsius, status bits, mA."""
    values = (
        round(reported.volt * 10),
        reported.driver_celsius,
        reported.motor_celsius,
        reported.status,
        round(reported.ampere * 1e3),
    )
    return Id.SLOW + motor - 1, _SLOW.pack(*values)


def limits(motor: int, low_rad: float, high_rad: float, speed_rad_s: float) -> Frame:
    """A 0x473 frame, the answer to 0x472: a motor's range in 0.1 degree and its greatest speed in 0.001 rad/s."""
    tenths = (round(float(np.degrees(value)) * 10) for value in (high_rad, low_rad))
    return Id.LIMITS, _LIMITS.pack(motor, *tenths, round(speed_rad_s * 1e3))


def acceleration(motor: int, greatest_rad_s2: float) -> Frame:
    """A 0x47C frame, the answer to 0x472: what a motor is set to allow, in 0.01 rad/s2."""
    return Id.ACCELERATION, _ACCELERATION.pack(motor, round(greatest_rad_s2 * 100))


def firmware(text: str) -> list[Frame]:
    """0x4AF frames of the firmware's name, eight letters each, the last one filled up with zeros."""
    data = text.encode().ljust(-(-len(text) // 8) * 8)
    return [(Id.FIRMWARE, data[place : place + 8]) for place in range(0, len(data), 8)]
