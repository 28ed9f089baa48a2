"""Libraries of single devices, loaded only where the device is used: a robot without the device need not install them.

Called by drivers/realsense.py and drivers/uvc.py.
"""

import importlib
from typing import Any

from drivers.errors import DriverError

_NAMES = {"cv2": "OpenCV", "pyrealsense2": "pyrealsense2"}


def load(module: str, who: str) -> Any:
    """Import a module that the device `who` needs. Raises DriverError with the remedy when it cannot be loaded."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DriverError(
            f"{who}: {_NAMES[module]} cannot be loaded ({error}); run ./launch/doctor.sh, which installs it"
        ) from None
