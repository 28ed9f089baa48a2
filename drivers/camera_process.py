"""A camera's driver in a process of its own: a library that hangs or crashes costs that camera, and no other.

Made by runtime/devices/cameras.py for every kind of camera that a third party's library opens. A thread would not do: no thread
can be ended, and librealsense keeps Python's lock while it starts a stream (measured: 15 s where no device answers).
"""

import mmap
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np

from drivers import camera_server
from drivers.camera import CameraFrame
from drivers.camera_kinds import HANG_REMEDIES
from drivers.camera_server import CLOSE, FRAME, HEAD, OPEN, READ, REFUSED, WAIT
from drivers.errors import DriverError

OPEN_S = 10.0
"""How long a camera may take to open. Chosen: a RealSense takes 2 to 5 s where it has to be reset first."""
CLOSE_S = 2.0  # the same to close; chosen: stopping a stream waits for the picture that is under way
_LOAD_S = 20.0  # until the process has loaded; chosen, on a machine that does much else
_LATE_S = 1.0  # beyond the time that a read was to wait; chosen: decoding takes milliseconds
_DIE_S = 1.0  # until a killed process is gone; chosen: it takes milliseconds unless the kernel itself hangs


class CameraProcess:
    """One camera of a kind in `camera_kinds.DRIVERS`. A process is started by `open` and ended by `close`."""

    def __init__(self, kind: str, name: str, device: str, width_px: int, height_px: int, rate_hz: float) -> None:
        self.name, self.width_px, self.height_px, self.rate_hz = name, width_px, height_px, rate_hz
        self.noisy, self.usb, self.damaged = kind != "file", "", 0
        self._kind, self._device = kind, device
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._pixels: mmap.mmap | None = None

    def open(self) -> None:
        """Start the stream. Raises DriverError with the driver's own remedy, or when it does not answer within OPEN_S."""
        self._end()
        self._start()
        self._answer(b"", "the driver's start", _LOAD_S)
        try:
            self.damaged = 0
            self.usb = self._answer(OPEN, "open()", OPEN_S)[1:].decode()
        except DriverError:
            self._end()
            raise

    def read(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the next picture; None after `timeout_s`. Raises DriverError when it is gone or its driver hangs."""
        answer = self._answer(READ + WAIT.pack(timeout_s), "read()", timeout_s + _LATE_S)
        if answer[:1] != FRAME:
            return None
        assert self._pixels is not None
        number, capture_ns, _, exact, self.damaged = HEAD.unpack_from(answer, 1)
        shared = np.frombuffer(self._pixels, np.uint8).reshape(self.height_px, self.width_px, 3)
        jpeg = answer[1 + HEAD.size :]
        return CameraFrame(number, capture_ns, time.monotonic_ns(), shared.copy(), jpeg, exact)

    def close(self) -> None:
        """Stop the stream and end the process; also where it hangs, and where it was never opened."""
        if self._link is not None:
            with suppress(DriverError):
                self._answer(CLOSE, "close()", CLOSE_S)
        self._end()

    @property
    def _who(self) -> str:
        return (
            f"RealSense {self._device or 'of any number'}" if self._kind == "realsense" else self._device or self.name
        )

    def _start(self) -> None:
        if self._process is not None:
            raise DriverError(
                f"{self._who}: its driver hung in the kernel (process {self._process.pid} cannot be ended); "
                f"power-cycle its USB hub, or restart the computer"
            )
        size = self.width_px * self.height_px * 3
        pixels = os.memfd_create(f"camera {self.name}")
        os.ftruncate(pixels, size)
        self._link, theirs = socket.socketpair()
        arguments = (self._kind, self.name, self._device, f"{self.width_px}x{self.height_px}", str(self.rate_hz))
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "drivers.camera_server",
                    *arguments,
                    f"{theirs.fileno()},{pixels}",
                    str(os.getpid()),
                ],
                pass_fds=(theirs.fileno(), pixels),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is its maker's to answer
            )
            self._pixels = mmap.mmap(pixels, size)
        finally:
            theirs.close()
            os.close(pixels)

    def _answer(self, request: bytes, call: str, limit_s: float) -> bytes:
        """The driver's answer to a request; to none, its first word. Raises DriverError, after which the process has ended."""
        if self._link is None:
            raise DriverError(f"{self._who}: is not open; open it first")
        try:
            self._link.settimeout(limit_s)
            if request:
                camera_server.send(self._link, request)
            answer = camera_server.receive(self._link)
        except TimeoutError:
            self._end()
            raise DriverError(
                f"{self._who}: hung in {call} (no answer within {limit_s:.1f} s); {HANG_REMEDIES[self._kind]}"
            ) from None
        except OSError:  # it has ended
            answer = b""
        if not answer:
            raise DriverError(f"{self._who}: its driver ended in {call} ({self._end()}); {HANG_REMEDIES[self._kind]}")
        if answer[:1] == REFUSED:
            raise DriverError(answer[1:].decode())
        return answer

    def _end(self) -> str:
        """End the process and free what it shares. Returns how it ended, where it had by itself."""
        link, self._link, self._pixels = self._link, None, None
        if link is not None:
            link.close()
        if self._process is None:
            return ""
        with suppress(subprocess.TimeoutExpired):  # one that has ended tells its own status
            self._process.wait(0.05 if link is not None else 0.0)
        self._process.kill()
        try:
            code = self._process.wait(_DIE_S)
        except subprocess.TimeoutExpired:
            return ""
        self._process = None
        return signal.Signals(-code).name if code < 0 else f"status {code}"
