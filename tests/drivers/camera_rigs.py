"""Devices for the camera drivers: librealsense's software device, a USB camera at OpenCV's place, a video file."""

import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyrealsense2
import pytest
import simplejpeg
from numpy.typing import NDArray

from drivers.camera import Camera, wait_for_trigger
from drivers.file_camera import FileCamera
from drivers.realsense import RealSenseCamera
from drivers.uvc import UvcCamera

RECORDED = 20  # pictures in a RealSense's device file


@dataclass
class CameraRig:
    """A camera's driver and its device: `step` makes something new to see."""

    camera: Camera
    step: Callable[[], None]
    close: Callable[[], None]


def picture(count: int) -> NDArray[np.uint8]:
    """A picture with the noise of a sensor, (60, 80, 3)."""
    return np.random.default_rng(count).integers(0, 255, (60, 80, 3), np.uint8)


class SoftwareRealSense(RealSenseCamera):
    """The driver on librealsense's software device; `push` is the sensor taking a picture."""

    def __init__(self) -> None:
        super().__init__("head", "", 80, 60, 100.0)
        self._count = 0

    def _start(self, rs: Any, frames: Any) -> None:
        self._rs, self._device_ = rs, rs.software_device()
        self._sensor = self._device_.add_sensor("Color")
        stream = rs.video_stream()
        stream.type, stream.fmt, stream.fps, stream.bpp = rs.stream.color, rs.format.rgb8, 100, 3
        stream.width, stream.height, stream.intrinsics = 80, 60, rs.intrinsics()
        profile = self._sensor.add_video_stream(stream)
        self._sensor.open(profile)
        self._sensor.start(frames)
        self._profile = profile.as_video_stream_profile()

    def push(self) -> None:
        """One picture, in the camera's rhythm."""
        wait_for_trigger(self.rate_hz)
        self._count += 1
        frame = self._rs.software_video_frame()
        frame.pixels, frame.stride, frame.bpp = picture(self._count), 240, 3
        frame.timestamp, frame.domain = time.monotonic() * 1e3 + 5e6, self._rs.timestamp_domain.hardware_clock
        frame.frame_number, frame.profile = self._count + 700, self._profile
        self._sensor.on_video_frame(frame)

    def close(self) -> None:
        """Stop the sensor."""
        if self._device_ is not None:
            self._sensor.stop()
            self._sensor.close()
            self._device_ = None


def realsense_rig(folder: Path) -> CameraRig:
    """A RealSense made of software, through librealsense."""
    camera = SoftwareRealSense()
    return CameraRig(camera, camera.push, lambda: None)


def record_realsense(path: Path, usb: str = "3.2") -> None:
    """A device file of RECORDED pictures 80x60 at 30 Hz, by librealsense's recorder."""
    rs: Any = pyrealsense2
    device = rs.software_device()
    device.register_info(rs.camera_info.usb_type_descriptor, usb)
    sensor = device.add_sensor("Color")
    stream = rs.video_stream()
    stream.type, stream.fmt, stream.fps, stream.bpp = rs.stream.color, rs.format.rgb8, 30, 3
    stream.width, stream.height, stream.intrinsics = 80, 60, rs.intrinsics()
    profile = sensor.add_video_stream(stream)
    recorder = rs.recorder(str(path), device)
    outside, frames = recorder.query_sensors()[0], rs.frame_queue(100)
    outside.open(profile)
    outside.start(frames)
    for count in range(1, RECORDED + 1):
        frame = rs.software_video_frame()
        frame.pixels, frame.stride, frame.bpp = picture(count), 240, 3
        frame.timestamp, frame.domain = 1000.0 + count * 1000 / 30, rs.timestamp_domain.hardware_clock
        frame.frame_number, frame.profile = count + 40, profile.as_video_stream_profile()
        sensor.on_video_frame(frame)
        time.sleep(1 / 30)  # it is played back as it came
    outside.stop()
    outside.close()


class UsbDevice:
    """A USB camera at the place of OpenCV's capture: MJPG with the kernel's stamps."""

    def __init__(self) -> None:
        self._jpegs: queue.Queue[tuple[bytes, float]] = queue.Queue()
        self._count = 0
        self._held: tuple[bytes, float] | None = None
        self.settings = dict[int, float]()

    def push(self, jpeg: bytes = b"") -> None:
        """One picture, in the camera's rhythm, or these bytes in its place."""
        wait_for_trigger(100.0)
        self._count += 1
        self._jpegs.put((jpeg or simplejpeg.encode_jpeg(picture(self._count), 90, "RGB"), time.monotonic() * 1e3))

    def isOpened(self) -> bool:
        """It is plugged in."""
        return True

    def set(self, key: int, value: float) -> bool:
        """Settings are taken as they are."""
        self.settings[key] = value
        return True

    def get(self, key: int) -> float:
        """A setting, or the stamp of the picture, ms."""
        if key != cv2.CAP_PROP_POS_MSEC:
            return self.settings[key]
        assert self._held is not None
        return self._held[1]

    def wait(self, timeout_ns: int) -> bool:
        """Whether a picture comes in time."""
        deadline = time.monotonic() + timeout_ns / 1e9
        while self._jpegs.empty() and time.monotonic() < deadline:
            time.sleep(0.001)
        return not self._jpegs.empty()

    def grab(self) -> bool:
        """Take it."""
        self._held = self._jpegs.get_nowait()
        return True

    def retrieve(self) -> tuple[bool, NDArray[np.uint8]]:
        """Its bytes, as OpenCV gives them."""
        assert self._held is not None
        return True, np.frombuffer(self._held[0], np.uint8)[None]

    def release(self) -> None:
        """Nothing is held."""


def uvc_rig(folder: Path) -> CameraRig:
    """A USB camera."""
    device = UsbDevice()
    return CameraRig(
        UvcCamera("left_wrist", "/dev/video9", 80, 60, 100.0, lambda path: device), device.push, lambda: None
    )


def with_restarts(quality: int = 90) -> tuple[bytes, list[int]]:
    """A JPEG of a picture (60, 80, 3) with restart markers, as webcams send it, and where these are."""
    smooth = cv2.resize(picture(1)[:6, :8], (80, 60), interpolation=cv2.INTER_CUBIC)
    _, encoded = cv2.imencode(".jpg", smooth, [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_RST_INTERVAL, 5])
    jpeg = encoded.tobytes()
    return jpeg, [place for place in range(len(jpeg)) if jpeg[place] == 0xFF and 0xD0 <= jpeg[place + 1] <= 0xD7]


def with_stray_bytes(count: int) -> bytes:
    """Such a JPEG with bytes too many before each restart marker (opencv#9477)."""
    jpeg, places = with_restarts()
    parts = [jpeg[start:end] for start, end in zip([0, *places], [*places, len(jpeg)], strict=True)]
    return bytes(count).join(parts)


def write_video(path: Path, pictures: int) -> None:
    """A small video."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 80, 60, "yuvj420p"
        for count in range(pictures):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(count), "rgb24")))
        container.mux(stream.encode())


def file_rig(folder: Path) -> CameraRig:
    """A video file; each step is a time for a picture."""
    path, due = folder / "video.avi", threading.Semaphore(0)
    write_video(path, 3)
    camera = FileCamera("head", str(path), 80, 60, 100.0, lambda rate_hz, timeout_s: due.acquire(timeout=timeout_s))

    def step() -> None:
        wait_for_trigger(100.0)
        due.release()

    return CameraRig(camera, step, lambda: None)


class Library:
    """A stand-in for pyrealsense2 that other processes import: it does in a call what a library does that hangs or crashes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._module = folder / "pyrealsense2.py"
        monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{Path(__file__).parents[2]}")

    def does(self, call: str, what: str) -> None:
        """Write the module: `call` is open, read or close, `what` a line of Python with `ctypes`, `os` and `time`."""
        lines = {"open": "pass", "read": "pass", "close": "pass"} | {call: what}
        self._module.write_text(_LIBRARY.format(**lines))


HANGS = "ctypes.PyDLL(None).sleep(600)"
"""A call into C that keeps Python's lock, as librealsense's `pipeline.start` does."""
_LIBRARY = """
import ctypes, os, time

class Any:
    def __getattr__(self, name):
        return Any()
    def __call__(self, *words):
        return Any()
    def __iter__(self):
        return iter(())
    def __bool__(self):
        return False

def __getattr__(name):
    return Any()

class pipeline(Any):
    def start(self, config, frames):
        {open}
    def stop(self):
        {close}

class frame_queue(Any):
    def __init__(self, size):
        pass
    def try_wait_for_frame(self, timeout_ms):
        {read}
        return False, None
"""
