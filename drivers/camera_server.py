"""The process of one camera's driver: opens, reads and closes it when its maker asks, one answer to each request.

Started by drivers/camera_process.py. Requests and answers are a length and bytes over a socket; a picture's pixels pass through
memory that both share. It ends with its maker, whatever the driver's library does meanwhile.
"""

import ctypes
import importlib
import mmap
import os
import signal
import socket
import struct
import sys

import numpy as np
from numpy.typing import NDArray

from drivers.camera import Camera, CameraFrame
from drivers.camera_kinds import DRIVERS
from drivers.errors import DriverError

READY, OPEN, READ, CLOSE, FRAME, NOTHING, REFUSED = (letter.encode() for letter in "YORCFNE")
"""First byte of a request or an answer. READY: the driver is loaded; REFUSED: with the text of a DriverError."""
WAIT = struct.Struct("<d")  # of a read, s
HEAD = struct.Struct(
    "<qqq?q"
)  # of a frame: number, capture_ns, returned_ns, exact, damaged before it; its JPEG follows
_LENGTH = struct.Struct("<I")
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15  # of linux/prctl.h


def send(link: socket.socket, payload: bytes) -> None:
    """Send one request or answer, whole."""
    link.sendall(_LENGTH.pack(len(payload)) + payload)


def receive(link: socket.socket) -> bytes:
    """The next request or answer; empty when the other end is gone. Raises TimeoutError by the socket's own limit."""
    length = _exactly(link, _LENGTH.size)
    return _exactly(link, _LENGTH.unpack(length)[0]) if length else b""


def _exactly(link: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        part = link.recv(size - len(received))
        if not part:
            return b""
        received += part
    return bytes(received)


def serve(camera: Camera, link: socket.socket, pixels: NDArray[np.uint8]) -> None:
    """Obey until the other end is gone.

    Args:
        camera: Its driver.
        link: To its maker.
        pixels: (H, W, 3), where a frame's pixels are written before it is told.
    """
    send(link, READY)
    while request := receive(link):
        try:
            answer = _answer(camera, request, pixels)
        except DriverError as error:
            answer = REFUSED + str(error).encode()
        except Exception as error:  # noqa: BLE001 - the process's edge: whatever a library raises, the camera is told as lost
            answer = REFUSED + f"{type(error).__name__}: {' '.join(str(error).split()[:20])}".encode()
        send(link, answer)


def _answer(camera: Camera, request: bytes, pixels: NDArray[np.uint8]) -> bytes:
    if request[:1] == OPEN:
        camera.open()
        return NOTHING + camera.usb.encode()
    if request[:1] == CLOSE:
        camera.close()
        return NOTHING
    frame = camera.read(WAIT.unpack(request[1:])[0])
    if frame is None:
        return NOTHING
    pixels[:] = frame.pixels
    return FRAME + _packed(frame, camera.damaged)


def _packed(frame: CameraFrame, damaged: int) -> bytes:
    return HEAD.pack(frame.number, frame.capture_ns, frame.returned_ns, frame.exact, damaged) + frame.jpeg


def main(kind: str, name: str, device: str, size: str, rate_hz: str, descriptors: str, maker: str) -> int:
    """Serve one camera.

    Args:
        kind: In DRIVERS.
        name, device, rate_hz: As the driver takes them.
        size: WxH of its pictures, px.
        descriptors: Of the socket and of the memory.
        maker: The process that started this one.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(_PR_SET_NAME, f"v2a-{name}".encode()[:15])
    if os.getppid() != int(maker):  # it ended before the lines above
        return 1
    width_px, height_px = (int(part) for part in size.split("x"))
    link, shared_by = (int(part) for part in descriptors.split(","))
    shared = mmap.mmap(shared_by, width_px * height_px * 3)
    pixels = np.frombuffer(shared, np.uint8).reshape(height_px, width_px, 3)
    module, driver = DRIVERS[kind]
    made = getattr(importlib.import_module(module), driver)(name, device, width_px, height_px, float(rate_hz))
    with socket.socket(fileno=link) as maker_link:
        serve(made, maker_link, pixels)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
