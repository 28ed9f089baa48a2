"""What a Piper tells about itself when it is asked: firmware, and the range and speed that each motor allows.

Called by drivers/piper.py before it switches motors on, and by the doctor. Motors are asked one after the other: the SDK's
question for all six gives the last reply six times.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from drivers.errors import DriverError

MOTORS = range(1, 7)  # numbers in frames
_TIMES_ASKED = 3  # within the time that a motor may take; chosen: a lost frame does not matter, nor a second one
_POLL_S = 0.005  # how often an answer is looked for; chosen: the period of the arm's own frames
_TENTH_DEGREE_RAD = math.radians(0.1)  # the unit of ranges in frame 0x473
_ASK_RANGE, _ASK_ACCELERATION = 0x01, 0x02  # second byte of frame 0x472: the SDK's `search_content`


@dataclass(frozen=True)
class MotorRange:
    """The range and the greatest speed that a motor has stored."""

    low_rad: float
    high_rad: float
    speed_rad_s: float

    @property
    def sane(self) -> bool:
        """Whether a motor can have such a range and speed; corrupt firmware reports others."""
        return -2 * math.pi <= self.low_rad < self.high_rad <= 2 * math.pi and 0 < self.speed_rad_s < 10


def firmware(sdk: Any, who: str, timeout_s: float) -> str:
    """The firmware's version, as in `S-V1.8-2`. Raises DriverError when no answer of 8 letters came in time."""
    sdk.SearchPiperFirmwareVersion()
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if isinstance(version := sdk.GetPiperFirmwareVersion(), str) and len(version) == 8:
            return version
        time.sleep(_POLL_S)
    raise DriverError(f"{who}: no firmware version within {timeout_s} s; power-cycle the arm")


def ranges(sdk: Any, who: str, timeout_s: float, over: Callable[[], bool] = lambda: False) -> tuple[MotorRange, ...]:
    """The ranges of motors 1 to 6. Raises DriverError when one does not answer, or when `over` says True before all have."""
    return tuple(_range(sdk, who, motor, timeout_s, over) for motor in MOTORS)


def unfit(sdk: Any, who: str, timeout_s: float, over: Callable[[], bool] = lambda: False) -> str:
    """Why an arm must not be switched on: the ranges that its motors have stored make no sense. Empty: they do.

    It ends early when `over` says True: somebody commanded something else.
    """
    try:
        found = ranges(sdk, who, timeout_s, over)
    except DriverError as error:
        return str(error)
    bad = next((motor for motor, reported in zip(MOTORS, found, strict=True) if not reported.sane), None)
    return "" if bad is None else f"the stored limits of motor {bad} are corrupt; set them again with the vendor's tool"


def accelerations(sdk: Any, who: str, timeout_s: float) -> tuple[float, ...]:
    """The greatest accelerations that motors 1 to 6 are set to, rad/s2. Raises DriverError when one does not answer."""
    return tuple(_acceleration(sdk, who, motor, timeout_s) for motor in MOTORS)


def _acceleration(sdk: Any, who: str, motor: int, timeout_s: float) -> float:
    for _ in _asked(sdk, motor, _ASK_ACCELERATION, timeout_s):
        reported = sdk.GetCurrentMotorMaxAccLimit().current_motor_max_acc_limit
        if reported.joint_motor_num == motor:
            return reported.max_joint_acc / 100
    raise DriverError(f"{who}: no acceleration limit of motor {motor} within {timeout_s} s; power-cycle the arm")


def _range(sdk: Any, who: str, motor: int, timeout_s: float, over: Callable[[], bool]) -> MotorRange:
    for _ in _asked(sdk, motor, _ASK_RANGE, timeout_s):
        if over():
            break
        reported = sdk.GetCurrentMotorAngleLimitMaxVel().current_motor_angle_limit_max_vel
        if reported.motor_num == motor:
            low, high = reported.min_angle_limit * _TENTH_DEGREE_RAD, reported.max_angle_limit * _TENTH_DEGREE_RAD
            return MotorRange(low, high, reported.max_joint_spd / 1e3)
    raise DriverError(f"{who}: no range of motor {motor} within {timeout_s} s; power-cycle the arm")


def _asked(sdk: Any, motor: int, what: int, timeout_s: float) -> Iterator[None]:
    """Ask a motor three times within `timeout_s`, since a frame may be lost; after each yield the answer is looked for."""
    begun = time.monotonic()
    asked = 0
    while (waited_s := time.monotonic() - begun) < timeout_s:
        if waited_s >= asked * timeout_s / _TIMES_ASKED:
            sdk.SearchMotorMaxAngleSpdAccLimit(motor, what)
            asked += 1
        time.sleep(_POLL_S)
        yield
