"""A RealSense's colour stream by pyrealsense2: live by serial number, or a recorded device file in its own rhythm.

Run by drivers/camera_server.py for the kind `realsense`.
The models see the decoded JPEG that the session logs, so that a replay sees the same. Stamps are the device's, brought to
CLOCK_MONOTONIC: librealsense's own conversion follows the wall clock.
"""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from drivers import optional
from drivers.camera import CameraFrame
from drivers.device_clock import DeviceClock
from drivers.errors import DriverError
from drivers.jpeg import as_seen
from drivers.permission import refusal

USB_DEVICES, USB_NODES = Path("/sys/bus/usb/devices"), Path("/dev/bus/usb")  # the kernel's
_INTEL, _PRODUCTS = "8086", ("0a", "0b")  # as in deploy/realsense.rules
_REMEDY = "plug it into a USB 3 port and end other programs that use it"


class RealSenseCamera:
    """The colour camera of a RealSense. `device`: its serial number, the path of a recorded file, or empty for the only one."""

    noisy = True
    damaged = 0  # it sends pixels

    def __init__(self, name: str, device: str, width_px: int, height_px: int, rate_hz: float) -> None:
        self.name, self.width_px, self.height_px, self.rate_hz = name, width_px, height_px, rate_hz
        self.usb = ""
        self._device = device
        self._pipeline: Any = None

    def open(self) -> None:
        """Start the stream. Raises DriverError, with the serial numbers of what is plugged in when it is not this one."""
        rs = optional.load("pyrealsense2", self._who)
        self._clock, self._first = DeviceClock(), None
        self._frames: Any = rs.frame_queue(1)  # the newest; an older one that nobody took is dropped
        try:
            self._start(rs, self._frames)
        except RuntimeError as error:
            raise DriverError(
                f"{self._who}: {_forbidden() or f'{_short(error)}; {_plugged_in(rs)}{_REMEDY}'}"
            ) from None

    def read(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the next picture; None after `timeout_s`. Raises DriverError when it was unplugged, or for another size."""
        try:
            there, frame = self._frames.try_wait_for_frame(round(timeout_s * 1e3))
            arrival_ns = time.monotonic_ns()
            if not there:
                return None
            colour = frame.as_frameset().get_color_frame() if frame.is_frameset() else frame
            if not colour:
                return None
            raw = np.asarray(colour.get_data())
        except RuntimeError as error:  # as after it was unplugged
            raise DriverError(f"{self._who}: {_short(error)}; {_REMEDY}") from None
        if raw.shape != (self.height_px, self.width_px, 3):
            raise DriverError(
                f"{self._who}: sends {raw.shape[1]}x{raw.shape[0]} px, expected {self.width_px}x{self.height_px} px"
            )
        number, capture_ns = self._stamp(colour, arrival_ns)
        jpeg, pixels = as_seen(raw)
        return CameraFrame(number, capture_ns, time.monotonic_ns(), pixels, jpeg, exact=True)

    def close(self) -> None:
        """Stop the stream and free the camera; does nothing where it is gone or was never opened."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            with suppress(RuntimeError):
                pipeline.stop()

    @property
    def _who(self) -> str:
        return f"RealSense {self._device or 'of any number'}"

    def _start(self, rs: Any, frames: Any) -> None:
        """Start the device's colour stream into the queue `frames`. Raises librealsense's RuntimeError, or DriverError."""
        config, pipeline = rs.config(), rs.pipeline()
        if self._device.startswith(("/", "./")):
            if not Path(self._device).is_file():
                raise DriverError(f"{self._who}: {self._device} does not exist; give another file")
            config.enable_device_from_file(self._device, repeat_playback=True)
        elif self._device:
            config.enable_device(self._device)
        config.enable_stream(rs.stream.color, self.width_px, self.height_px, rs.format.rgb8, round(self.rate_hz))
        device = config.resolve(rs.pipeline_wrapper(pipeline)).get_device()
        for sensor in device.query_sensors():  # else its stamps would follow the wall clock
            if sensor.supports(rs.option.global_time_enabled):
                sensor.set_option(rs.option.global_time_enabled, 0)
        pipeline.start(config, frames)
        self._pipeline = pipeline
        reported = rs.camera_info.usb_type_descriptor
        self.usb = device.get_info(reported) if device.supports(reported) else ""

    def _stamp(self, colour: Any, arrival_ns: int) -> tuple[int, int]:
        """The frame's number, counted from 1 since the device started, and when it was taken, CLOCK_MONOTONIC ns."""
        number = int(colour.get_frame_number())
        if self._first is None or number < self._first:  # begun, or begun anew
            self._first = number
        return number - self._first + 1, self._clock.monotonic_ns(colour.get_timestamp() / 1e3, arrival_ns)


def _forbidden() -> str:
    """Why a RealSense that is plugged in cannot be opened by this user, with the remedy; empty: none is, or it can."""
    for place in sorted(USB_DEVICES.glob("*/idVendor")):
        with suppress(OSError, ValueError):  # it has just been unplugged
            product = (place.parent / "idProduct").read_text()
            if place.read_text().strip() == _INTEL and product.startswith(_PRODUCTS):
                bus, device = (int((place.parent / name).read_text()) for name in ("busnum", "devnum"))
                if refused := refusal(USB_NODES / f"{bus:03d}/{device:03d}"):
                    return f"{refused}; where it has no group install deploy/realsense.rules"
    return ""


def _plugged_in(rs: Any) -> str:
    """The serial numbers of all RealSense devices on this machine, as the beginning of a remedy."""
    found = [device.get_info(rs.camera_info.serial_number) for device in rs.context().query_devices()]
    return f"plugged in: {', '.join(found)}; " if found else "no RealSense is plugged in; "


def _short(error: RuntimeError) -> str:
    return " ".join(str(error).split()[:20])
