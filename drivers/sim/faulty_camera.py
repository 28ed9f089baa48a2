"""What can go wrong with a simulated camera, switched while it runs: around the camera, as cable and firmware are.

Made by runtime/devices/cameras.py around every simulated camera; the faults come from a run's `faults.json`.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from drivers.camera import Camera, CameraFrame, wait_for_trigger
from drivers.errors import DriverError

_HANGS_S = 0.05  # between two looks whether it still hangs; chosen


class CameraFaults(BaseModel):
    """What is wrong with a camera; nothing by default. Read from `faults.json`, strictly."""

    model_config = ConfigDict(extra="forbid", strict=True)

    frozen: bool = False
    """The last frame again and again, with its number and stamp."""
    same_bytes: bool = False
    """The last picture again and again, under new numbers and stamps."""
    unplugged: bool = False
    """It cannot be read or opened; it is found again when the fault ends."""
    hangs: bool = False
    """It is gone, and opening it again does not return while this lasts."""
    slow_s: float = Field(default=0.0, ge=0, le=10)
    """So much longer for each picture."""
    skew_s: float = Field(default=0.0, ge=0, le=10)
    """Its pictures are so much older than it usually delivers them."""


class FaultyCamera:
    """A `Camera` with something wrong: `faults` is asked at every picture what it is. `unplugged` and `hangs` raise
    DriverError."""

    def __init__(self, camera: Camera, faults: Callable[[], CameraFaults]) -> None:
        self.name, self.width_px, self.height_px = camera.name, camera.width_px, camera.height_px
        self.damaged = 0
        self.rate_hz, self.noisy, self.usb = camera.rate_hz, camera.noisy, camera.usb
        self._camera, self._faults = camera, faults
        self._last: CameraFrame | None = None

    def open(self) -> None:
        while self._faults().hangs:
            time.sleep(_HANGS_S)
        self._check(self._faults())
        self._camera.open()

    def read(self, timeout_s: float) -> CameraFrame | None:
        faults, last = self._faults(), self._last
        self._check(faults)
        if last is not None and _repeats(faults):
            wait_for_trigger(self.rate_hz)
            frame = last
        else:
            time.sleep(faults.slow_s)
            frame = self._camera.read(timeout_s)
            self.damaged = self._camera.damaged
        faults = self._faults()  # a fault that began meanwhile, a camera's period or more, is this picture's already
        self._check(faults)
        if last is not None and _repeats(faults):
            self._last = last
            if faults.same_bytes:
                self._last = replace(last, number=last.number + 1, capture_ns=time.monotonic_ns())
            return self._last
        self._last = frame or last
        if frame is None or not faults.skew_s:
            return frame
        return replace(frame, capture_ns=frame.capture_ns - round(faults.skew_s * 1e9))

    def close(self) -> None:
        self._camera.close()

    def _check(self, faults: CameraFaults) -> None:
        if faults.unplugged or faults.hangs:
            raise DriverError("device is gone; check its cable and USB port")


def _repeats(faults: CameraFaults) -> bool:
    return faults.frozen or faults.same_bytes
