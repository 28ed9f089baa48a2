"""What to check about an arm or a camera that is silent, late or torn: by what it is in this run, hardware or simulation.
Called by whoever reports one: the arms, the cameras, System 1, record.
"""

from runtime.config.settings import Settings

_LOGS = "check logs/{}.log and logs/simulator.log of the session"  # by the names in runtime/process/processes.py
_SIMULATOR = "check logs/simulator.log of the session"


def of_arm(settings: Settings) -> str:
    """About an arm that is not heard."""
    return _simulated_arm(settings) or "check its power and CAN cable"


def of_reading(settings: Settings) -> str:
    """About an arm whose reading cannot be true."""
    return _simulated_arm(settings) or "check the CAN cable and motor"


def of_camera(settings: Settings, name: str) -> str:
    """About one camera's frames."""
    match settings.cameras.by_name()[name].kind:
        case "simulated":
            return _LOGS.format("cameras")
        case "file":
            return "check its file and the disk"
        case "realsense" | "uvc":
            return "check its cable and USB port"


def of_cameras(settings: Settings) -> str:
    """About all cameras together."""
    real = any(camera.kind in ("realsense", "uvc") for camera in settings.cameras.by_name().values())
    return "check cables and USB ports" if real else _LOGS.format("cameras")


def _simulated_arm(settings: Settings) -> str:
    """Empty for a real arm."""
    if settings.arms.kind != "simulated":
        return ""
    return _LOGS.format("emulator") if settings.can else _SIMULATOR
