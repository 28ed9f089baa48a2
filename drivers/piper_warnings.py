"""What a Piper reports that a person must know, out of what the SDK holds of its frames: a line each. Deterministic.

Called by drivers/piper.py for every reading. Codes and flags are those of piper_sdk's ArmMsgFeedbackStatus and its messages of
motors and gripper.
"""

from typing import Any

from drivers.arm import EMERGENCY_STOP, MotorCommand

MOTORS = range(1, 7)  # numbers in the SDK's names
BY_CAN, TEACHING = 1, 2  # who controls it (0x2A1)
ENDED_BY_A_TARGET = (2, 3, 4)  # status codes about a target: the next good one ends them
_STOPPED = 1
_STATUS_TEXT = {  # by arm_status in frame 0x2A1
    _STOPPED: EMERGENCY_STOP,
    2: "no solution",
    3: "singularity",
    4: "target angle beyond its limit",
    5: "a joint does not communicate",
    6: "a joint's brake is not released",
    7: "collision",
    8: "overspeed while moved by hand",
    9: "abnormal joint state",
    10: "other fault",
    11: "recording a taught trajectory",
    12: "playing a taught trajectory",
    13: "paused in a taught trajectory",
    14: "controller too hot",
    15: "brake resistor too hot",
}
_HOT_CELSIUS = 80
"""Chosen: nothing in the SDK names a limit; the arm's own flags (motor_overheating, driver_overheating) come besides."""
_POWER_FLAGS = {
    "voltage_too_low": "voltage too low; measure its supply",
    "driver_overcurrent": "current too high",
    "motor_overheating": "motor too hot; let it cool down",
    "driver_overheating": "driver too hot; let it cool down",
}
# The SDK's names of the bits of frames 0x261 to 0x266 and 0x2A8; an error comes with others, so it is named last.
_MOTOR_FLAGS = _POWER_FLAGS | {
    "collision_status": "collision",
    "stall_status": "stalled",
    "driver_error_status": "driver error",
}
_GRIPPER_FLAGS = _POWER_FLAGS | {
    "sensor_status": "sensor error",
    "driver_error_status": "driver error",
}


def warning_of(sdk: Any, but: tuple[int, ...] = ()) -> str:
    """The first thing that the arm itself reports as wrong, the status codes `but` set aside; empty: nothing."""
    status = sdk.GetArmStatus().arm_status
    if (code := int(status.arm_status)) and code not in but:
        return f"status {code}: {_STATUS_TEXT.get(code, 'unknown')}"
    for number in MOTORS:
        if getattr(status.err_status, f"communication_status_joint_{number}"):
            return f"joint {number} does not communicate; check its cable or power-cycle the arm"
    for number in MOTORS:
        if getattr(status.err_status, f"joint_{number}_angle_limit"):
            return f"joint {number} is outside its range; move it back by hand"
    if int(status.ctrl_mode) == TEACHING:
        return "in teach mode; press its teach button"
    motors = sdk.GetArmLowSpdInfoMsgs()
    for number in MOTORS:
        if found := _motor_warning(number, getattr(motors, f"motor_{number}")):
            return found
    reported = _reported(_GRIPPER_FLAGS, sdk.GetArmGripperMsgs().gripper_state.foc_status)
    return f"gripper reports: {reported}" if reported else ""


def taken_away(sdk: Any) -> str:
    """Why an arm that reports nothing wrong does not follow us any more; empty: it does. Only `arm` takes it back."""
    control = int(sdk.GetArmStatus().arm_status.ctrl_mode)
    if control not in (BY_CAN, TEACHING):
        return f"not in CAN control (mode {control}); send `arm`"
    motors = sdk.GetArmLowSpdInfoMsgs()
    for number in MOTORS:
        motor = getattr(motors, f"motor_{number}")
        if motor.can_id and not motor.foc_status.driver_enable_status:
            return f"motor {number} is switched off"
    return ""


def shown_as(sdk: Any, motor_command: MotorCommand) -> bool:
    """Whether what the arm reports is what that command makes of it: motors on or off, emergency stop or none."""
    stopped, on = int(sdk.GetArmStatus().arm_status.arm_status) == _STOPPED, sdk.GetArmEnableStatus()
    return {"enable": all(on), "release": not any(on), "stop": stopped, "reset": not stopped}[motor_command]


def _motor_warning(number: int, motor: Any) -> str:
    hottest = max(motor.motor_temp, motor.foc_temp)
    if hottest > _HOT_CELSIUS:
        return f"motor {number} is at {hottest} °C (limit {_HOT_CELSIUS} °C); let it cool down"
    reported = _reported(_MOTOR_FLAGS, motor.foc_status)
    return f"motor {number} reports: {reported}" if reported else ""


def _reported(flags: dict[str, str], status: Any) -> str:
    return next((text for flag, text in flags.items() if getattr(status, flag)), "")
