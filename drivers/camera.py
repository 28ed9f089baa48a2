"""What every camera driver does and what a frame is. The same contract suite runs on all of them.

Used by runtime/devices/camera_stream.py, one thread a camera.
"""

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class CameraFrame:
    """One picture as the models see it, with the bytes that the session logs."""

    number: int  # the device's frame number, counted from 1
    capture_ns: int  # CLOCK_MONOTONIC time of the exposure; the time of arrival where the device knows no better
    returned_ns: int  # when the driver handed over the pixels
    pixels: NDArray[np.uint8]  # (H, W, 3), RGB
    jpeg: bytes  # what was decoded to `pixels`, or an encoding of them
    exact: bool  # whether decoding `jpeg` gives `pixels` back, bit for bit


def wait_for_trigger(rate_hz: float) -> None:
    """Wait for the next multiple of the period by CLOCK_MONOTONIC, so that all cameras are triggered together, as by one wire.

    On an overloaded machine pictures are skipped; nothing is caught up.
    """
    period_ns = round(1e9 / rate_hz)
    due_ns = (time.monotonic_ns() // period_ns + 1) * period_ns
    time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)


class Camera(Protocol):
    """A colour camera with its own rhythm. One thread opens, reads and closes it.

    A DriverError names the device; whoever reports it names the camera.
    """

    name: str
    width_px: int
    height_px: int
    rate_hz: float
    noisy: bool  # whether two pictures with the same bytes mean a frozen camera
    damaged: int  # pictures since it was opened that could not be decoded
    usb: str  # version of its USB link once it is open, such as "3.2"; empty where there is none or it is not told

    def open(self) -> None:
        """Start the stream. Raises DriverError with the remedy; then it may be tried again."""
        ...

    def read(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the next picture; None after `timeout_s` without one. Raises DriverError when the device is gone."""
        ...

    def close(self) -> None:
        """Stop the stream and free the device; also where it is gone, and where it was never opened."""
        ...
