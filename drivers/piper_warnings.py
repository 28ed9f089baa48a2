"""What a Piper reports that a person must know, out of what the SDK holds of its frames: a line each. Deterministic.

Called by drivers/piper.py for every reading. Codes and flags are those of piper_sdk's ArmMsgFeedbackStatus and its messages of
motors and gripper.
"""

from typing import Any

from drivers.arm import EMERGENCY_STOP

MOTORS = range(1, 7)  # numbers in the SDK's names
BY_CAN, TEACHING = 1, 2  # who controls it (0x2A1)
ENDED_BY_A_TARGET = (2, 3, 4)  # status codes about a target: the next good one ends them
_STATUS_TEXT = {  # by arm_status in frame 0x2A1
    1: EMERGENCY_STOP,
    2: "no solution",
    3: "singularity",
    4: "target angle over its limit",
    5: "a joint does not communicate",
    6: "a joint's brake is not released",
    7: "collision",
    8: "overspeed while it was led by hand",
    9: "a joint is in an abnormal state",
    10: "other fault",
    11: "records a taught way",
    12: "plays a taught way",
    13: "paused on a taught way",
    14: "controller too hot",
    15: "brake resistor too hot",
}
_HOT_CELSIUS = 80
"""Chosen: nothing in the SDK names a limit; the arm's own flags (motor_overheating, driver_overheating) come besides."""
_POWER_FLAGS = {
    "voltage_too_low": "too low a voltage; see to its supply",
    "driver_overcurrent": "too high a current",
    "motor_overheating": "that it is too hot; let it cool down",
    "driver_overheating": "that its driver is too hot; let it cool down",
}
# The SDK's names of the bits of frames 0x261 to 0x266 and 0x2A8; an error comes with others, so it is named last.
_MOTOR_FLAGS = _POWER_FLAGS | {
    "collision_status": "a collision",
    "stall_status": "that it stalls",
    "driver_error_status": "an error of its driver",
}
_GRIPPER_FLAGS = _POWER_FLAGS | {
    "sensor_status": "an error of its sensor",
    "driver_error_status": "an error of its driver",
}


def warning_of(sdk: Any, but: tuple[int, ...] = ()) -> str:
    """The first thing that the arm itself reports as wrong, the status codes `but` set aside; empty: nothing."""
    status = sdk.GetArmStatus().arm_status
    if (code := int(status.arm_status)) and code not in but:
        return f"status {code}: {_STATUS_TEXT.get(code, 'unknown')}"
    for number in MOTORS:
        if getattr(status.err_status, f"communication_status_joint_{number}"):
            return f"joint {number} does not communicate; check its cable, or power it off and on"
    for number in MOTORS:
        if getattr(status.err_status, f"joint_{number}_angle_limit"):
            return f"joint {number} is beyond its range; lead it back by hand"
    if int(status.ctrl_mode) == TEACHING:
        return "is being taught; press its teach button"
    motors = sdk.GetArmLowSpdInfoMsgs()
    for number in MOTORS:
        if found := _motor_warning(number, getattr(motors, f"motor_{number}")):
            return found
    reported = _reported(_GRIPPER_FLAGS, sdk.GetArmGripperMsgs().gripper_state.foc_status)
    return f"the gripper reports {reported}" if reported else ""


def taken_away(sdk: Any) -> str:
    """Why an arm that reports nothing wrong does not follow us any more; empty: it does. Only `arm` takes it back."""
    control = int(sdk.GetArmStatus().arm_status.ctrl_mode)
    if control not in (BY_CAN, TEACHING):
        return f"left the control by CAN (mode {control}); send arm to take it again"
    motors = sdk.GetArmLowSpdInfoMsgs()
    for number in MOTORS:
        motor = getattr(motors, f"motor_{number}")
        if motor.can_id and not motor.foc_status.driver_enable_status:
            return f"motor {number} is switched off"
    return ""


def _motor_warning(number: int, motor: Any) -> str:
    hottest = max(motor.motor_temp, motor.foc_temp)
    if hottest > _HOT_CELSIUS:
        return f"motor {number} is {hottest} degrees Celsius (limit {_HOT_CELSIUS})"
    reported = _reported(_MOTOR_FLAGS, motor.foc_status)
    return f"motor {number} reports {reported}" if reported else ""


def _reported(flags: dict[str, str], status: Any) -> str:
    return next((text for flag, text in flags.items() if getattr(status, flag)), "")
