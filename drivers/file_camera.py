"""A camera that shows a video file in a camera's rhythm, from its beginning again when it has ended (PyAV).

Run by drivers/camera_server.py for the kind `file`.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from drivers.camera import CameraFrame, wait_for_trigger
from drivers.errors import DriverError
from drivers.jpeg import as_seen


def triggered(rate_hz: float, timeout_s: float) -> bool:
    """Wait for the next multiple of the camera's period; always True, since a period is shorter than any time-out."""
    del timeout_s
    wait_for_trigger(rate_hz)
    return True


class FileCamera:
    """One video, scaled to the camera's size. `trigger(rate_hz, timeout_s)` waits for a picture's time; False: not yet come."""

    noisy = False
    usb = ""
    damaged = 0

    def __init__(
        self, name: str, path: str, width_px: int, height_px: int, rate_hz: float,
        trigger: Callable[[float, float], bool] = triggered,
    ) -> None:  # fmt: skip
        self.name, self.width_px, self.height_px, self.rate_hz = name, width_px, height_px, rate_hz
        self._path, self._trigger = Path(path), trigger

    def open(self) -> None:
        """Decode the first picture. Raises DriverError when the file holds none, or is no video."""
        self._number = 0
        self._pictures = self._decoded()
        self._next: NDArray[np.uint8] | None = next(self._pictures, None)
        if self._next is None:
            raise DriverError(f"{self._path} holds no frame; give another video file")

    def read(self, timeout_s: float) -> CameraFrame | None:
        """The next picture at its time, stamped with it; None if `trigger` says that it did not come."""
        if not self._trigger(self.rate_hz, timeout_s):
            return None
        capture_ns = time.monotonic_ns()
        picture = self._next if self._next is not None else self._again()
        self._next = next(self._pictures, None)
        self._number += 1
        jpeg, pixels = as_seen(picture)
        return CameraFrame(self._number, capture_ns, time.monotonic_ns(), pixels, jpeg, exact=True)

    def close(self) -> None:
        """Let go of the decoder, which closes the video."""
        self._pictures = iter(())

    def _again(self) -> NDArray[np.uint8]:
        self._pictures = self._decoded()
        return next(self._pictures)

    def _decoded(self) -> Iterator[NDArray[np.uint8]]:
        """The video's pictures (H, W, 3) uint8 RGB, scaled to the camera's size. Raises DriverError for what is no video."""
        try:
            with av.open(str(self._path)) as container:
                for frame in container.decode(video=0):
                    yield np.asarray(
                        frame.to_ndarray(width=self.width_px, height=self.height_px, format="rgb24"), np.uint8
                    )
        except (OSError, FFmpegError, IndexError) as error:
            raise DriverError(
                f"{self._path} cannot be read ({' '.join(str(error).split()[:12])}); give a video file"
            ) from None
