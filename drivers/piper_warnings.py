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
_MOVE_ON = "send `clear`, then `ready`"
_FREE = "free the arm, then send `clear`"
_POWER_CYCLE = "power-cycle the arm"
_END_TEACHING = "end it by its teach button, then send `arm`"
_STATUS_TEXT = {  # by arm_status in frame 0x2A1
    _STOPPED: f"{EMERGENCY_STOP}; support the arm, then send `clear` and confirm it",
    2: f"the arm finds no joint solution for its target; {_MOVE_ON}",
    3: f"its target is at a singularity; {_MOVE_ON}",
    4: f"target angle beyond its limit; {_MOVE_ON}",
    5: "a joint does not communicate; check its cable or power-cycle the arm",
    6: f"a joint's brake is not released; {_POWER_CYCLE}",
    7: f"collision; {_FREE}",
    8: "overspeed while moved by hand; move it more slowly, then send `clear`",
    9: f"abnormal joint state; {_POWER_CYCLE}",
    10: f"other fault; {_POWER_CYCLE}",
    11: f"recording a taught trajectory; {_END_TEACHING}",
    12: f"playing a taught trajectory; {_END_TEACHING}",
    13: f"paused in a taught trajectory; {_END_TEACHING}",
    14: "controller too hot; let it cool down",
    15: "brake resistor too hot; let it cool down",
}
_HOT_CELSIUS = 80
"""Chosen: nothing in the SDK names a limit; the arm's own flags (motor_overheating, driver_overheating) come besides."""
_POWER_FLAGS = {
    "voltage_too_low": "voltage too low; measure its supply",
    "driver_overcurrent": f"current too high; {_FREE}",
    "motor_overheating": "motor too hot; let it cool down",
    "driver_overheating": "driver too hot; let it cool down",
}
# The SDK's names of the bits of frames 0x261 to 0x266 and 0x2A8; an error comes with others, so it is named last.
_MOTOR_FLAGS = _POWER_FLAGS | {
    "collision_status": f"collision; {_FREE}",
    "stall_status": f"stalled; {_FREE}",
    "driver_error_status": f"driver error; {_POWER_CYCLE}",
}
_GRIPPER_FLAGS = _POWER_FLAGS | {
    "sensor_status": f"sensor error; {_POWER_CYCLE}",
    "driver_error_status": f"driver error; {_POWER_CYCLE}",
}


def warning_of(sdk: Any, but: tuple[int, ...] = ()) -> str:
    """The first thing that the arm itself reports as wrong, the status codes `but` set aside; empty: nothing."""
    status = sdk.GetArmStatus().arm_status
    if (code := int(status.arm_status)) and code not in but:
        return f"status {code}: {_STATUS_TEXT.get(code, f'unknown to this version; {_POWER_CYCLE}')}"
    for number in MOTORS:
        if getattr(status.err_status, f"communication_status_joint_{number}"):
            return f"joint {number} does not communicate; check its cable or power-cycle the arm"
    for number in MOTORS:
        if getattr(status.err_status, f"joint_{number}_angle_limit"):
            return f"joint {number} is outside its range; move it back by hand"
    if int(status.ctrl_mode) == TEACHING:
        return f"in teach mode; {_END_TEACHING}"
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
            return f"motor {number} is switched off; send `arm`, or power-cycle the arm"
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
