"""A USB camera by OpenCV's V4L2: its own JPEG as it came, chosen by the place of its plug (/dev/v4l/by-path/...).

Run by drivers/camera_server.py for the kind `uvc`; the wrists' Orbbec Dabai give their colour so. Nothing is encoded again but
what has a flaw: what the camera sent is what the models see decoded, and what the session logs.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from drivers import optional
from drivers.camera import CameraFrame
from drivers.errors import DriverError
from drivers.frame_rate import LEAST_SHARE
from drivers.jpeg import as_seen, recovered
from drivers.permission import refusal

_OLDEST_NS = 1_000_000_000
"""A stamp older than this, or in the future, is none of CLOCK_MONOTONIC's. Chosen: the kernel keeps one picture, 33 ms old."""
_MOST_BROKEN = 10  # pictures in a row that end the stream; chosen: one in thousands is broken, never so many
_FORMATS = "v4l2-ctl --list-formats-ext"
_CHOOSE = f"choose a size and rate of its MJPG formats ({_FORMATS})"
_REMEDY = "check its cable and USB port, and end other programs that use it"


def open_v4l2(device: str) -> Any:
    """OpenCV's capture of a V4L2 device; `isOpened` tells whether it could be opened. Raises DriverError when there is none."""
    cv2 = optional.load("cv2", device)
    if not Path(device).exists():
        raise DriverError(f"{device}: does not exist; list the devices with ls -l /dev/v4l/by-path")
    if refused := refusal(Path(device)):
        raise DriverError(refused)
    return cv2.VideoCapture(device, cv2.CAP_V4L2)


class UvcCamera:
    """One USB camera that gives MJPG. `capture` opens the device, as `open_v4l2` does."""

    noisy = True
    usb = ""

    def __init__(
        self, name: str, device: str, width_px: int, height_px: int, rate_hz: float,
        capture: Callable[[str], Any] = open_v4l2,
    ) -> None:  # fmt: skip
        self.name, self.width_px, self.height_px, self.rate_hz = name, width_px, height_px, rate_hz
        self.damaged = 0
        self._device, self._open = device, capture
        self._capture: Any = None

    def open(self) -> None:
        """Open the device and ask for MJPG, size and rate. Raises DriverError when it cannot be opened, or gives no MJPG."""
        if not self._device:
            raise DriverError(f"its device is missing; give --cameras.{self.name}.device /dev/v4l/by-path/...")
        cv2 = optional.load("cv2", self._device)
        capture = self._open(self._device)
        if not capture.isOpened():
            raise DriverError(f"{self._device}: cannot be opened; {_REMEDY}")
        self._capture, self._count, self._broken, self.damaged = capture, 0, 0, 0
        wanted = (
            (cv2.CAP_PROP_FOURCC, float(cv2.VideoWriter.fourcc(*"MJPG"))),
            (cv2.CAP_PROP_FRAME_WIDTH, float(self.width_px)),
            (cv2.CAP_PROP_FRAME_HEIGHT, float(self.height_px)),
            (cv2.CAP_PROP_FPS, self.rate_hz),
            (cv2.CAP_PROP_BUFFERSIZE, 1.0),
            (cv2.CAP_PROP_CONVERT_RGB, 0.0),
        )
        for key, value in wanted:
            capture.set(key, value)
        given = round(capture.get(cv2.CAP_PROP_FOURCC))  # 0 where it is not known
        if given not in (0, round(wanted[0][1])):
            self.close()
            text = given.to_bytes(4, "little", signed=True).decode(errors="replace")
            raise DriverError(f"{self._device}: sends {text}, expected MJPG; {_CHOOSE}")
        given_hz = capture.get(
            cv2.CAP_PROP_FPS
        )  # likewise; more than was asked for is left out later, by the times of capture
        if 0 < given_hz < LEAST_SHARE * self.rate_hz:
            self.close()
            raise DriverError(
                f"{self._device}: sends {given_hz:.0f} frames/s at {self.width_px}x{self.height_px} px, "
                f"expected {self.rate_hz:.0f}; {_CHOOSE}"
            )

    def read(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the next whole picture; None after `timeout_s`. Raises DriverError if it is gone or sends no JPEG."""
        try:
            return self._read(timeout_s)
        except optional.load("cv2", self._device).error as error:  # as after it was unplugged
            raise DriverError(f"{self._device}: {' '.join(str(error).split()[:20])}; {_REMEDY}") from None

    def _read(self, timeout_s: float) -> CameraFrame | None:
        deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        while (left_ns := deadline_ns - time.monotonic_ns()) > 0:
            if not _ready(self._capture, left_ns):
                return None
            if not self._capture.grab():  # V4L2's wait took the picture already; then this does nothing
                raise DriverError(f"{self._device}: stream stopped; {_REMEDY}")
            arrival_ns = time.monotonic_ns()
            there, data = self._capture.retrieve()
            jpeg = np.asarray(data, np.uint8).tobytes() if there and data is not None else b""
            if (frame := self._frame(jpeg, arrival_ns)) is not None:
                self._broken = 0
                return frame
            self._broken += 1
            self.damaged += 1
            if self._broken >= _MOST_BROKEN:
                raise DriverError(
                    f"{self._device}: the last {self._broken} frames are not JPEG; check that it offers MJPG ({_FORMATS})"
                )
        return None

    def close(self) -> None:
        """Free the device, so that another program may open it; `open` may be called again."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _frame(self, jpeg: bytes, arrival_ns: int) -> CameraFrame | None:
        """A frame of a JPEG; None when that is broken, as one in thousands is. Raises DriverError for another size.

        One with a harmless flaw is encoded again, so that whoever reads the session needs no tolerant decoder.
        """
        try:
            pixels = simplejpeg.decode_jpeg(jpeg, "RGB")
        except ValueError:
            if (flawed := recovered(jpeg)) is None:
                return None
            jpeg, pixels = as_seen(flawed)
        if pixels.shape != (self.height_px, self.width_px, 3):
            raise DriverError(
                f"{self._device}: sends {pixels.shape[1]}x{pixels.shape[0]} px, expected {self.width_px}x{self.height_px} px; "
                f"choose a size that it offers ({_FORMATS})"
            )
        self._count += 1
        return CameraFrame(self._count, self._taken_ns(arrival_ns), time.monotonic_ns(), pixels, jpeg, exact=True)

    def _taken_ns(self, arrival_ns: int) -> int:
        """When the picture was taken: the kernel's stamp, by CLOCK_MONOTONIC; where that is none, the time of arrival."""
        stamp_ns = round(self._capture.get(optional.load("cv2", self._device).CAP_PROP_POS_MSEC) * 1e6)
        return stamp_ns if arrival_ns - _OLDEST_NS < stamp_ns <= arrival_ns else arrival_ns


def _ready(capture: Any, timeout_ns: int) -> bool:
    """Wait until a picture can be taken; False after the time. Only V4L2 can wait so, other sources block in `grab`."""
    if hasattr(capture, "wait"):
        return bool(capture.wait(timeout_ns))
    if capture.getBackendName() != "V4L2":
        return True
    ready, _ = type(capture).waitAny([capture], timeout_ns)
    return bool(ready)
