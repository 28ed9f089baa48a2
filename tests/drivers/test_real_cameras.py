"""RealSense, USB and file cameras through their real libraries where those can run here, and every refusal. Called by pytest.

A recorded device file passes librealsense's own recorder and pipeline; a MJPG file passes OpenCV's capture, which gives the
JPEG of each picture as V4L2 does.
"""

import grp
import os
import pwd
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from camera_rigs import (
    RECORDED,
    SoftwareRealSense,
    UsbDevice,
    picture,
    record_realsense,
    with_restarts,
    with_stray_bytes,
    write_video,
)
from numpy.typing import NDArray

from drivers import realsense
from drivers.camera import CameraFrame
from drivers.errors import DriverError
from drivers.file_camera import FileCamera
from drivers.realsense import RealSenseCamera
from drivers.uvc import UvcCamera


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "head.db3"
    record_realsense(path)
    return path


def taken(camera: Any, count: int) -> list[CameraFrame]:
    """So many pictures of an open camera."""
    frames = [camera.read(2.0) for _ in range(count)]
    assert all(frames)
    return frames


def brightness(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """As JPEG keeps it at full resolution (ITU-R BT.601)."""
    return pixels.astype(float) @ np.array([0.299, 0.587, 0.114])


def test_a_recorded_realsense_plays_through_its_pipeline(recording: Path) -> None:
    camera = RealSenseCamera("head", str(recording), 80, 60, 30)
    camera.open()
    try:
        frames = taken(camera, RECORDED - 5)
    finally:
        camera.close()
    steps = np.diff([frame.number for frame in frames])
    assert (steps >= 1).all() and steps.max() <= 5
    captures_s = np.array([frame.capture_ns for frame in frames]) / 1e9
    np.testing.assert_allclose(np.diff(captures_s), steps / 30, atol=0.01)
    assert frames[-1].capture_ns <= time.monotonic_ns()
    first = frames[0].number  # counted from the first that came; what it shows tells which one that was
    shown = min(range(1, RECORDED + 1), key=lambda count: np.abs(picture(count).astype(int) - frames[0].pixels).mean())
    for frame in frames[:5]:
        wanted = picture(shown + frame.number - first)
        assert np.abs(brightness(wanted) - brightness(frame.pixels)).mean() < 12, "the JPEG of noise"


def test_a_recorded_realsense_begins_again_at_its_end(recording: Path) -> None:
    camera = RealSenseCamera("head", str(recording), 80, 60, 30)
    camera.open()
    try:
        frames = taken(camera, RECORDED + 8)
    finally:
        camera.close()
    captures = [frame.capture_ns for frame in frames]
    assert captures == sorted(captures)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("123456789", r"^RealSense 123456789: .*; plug it into a USB 3 port"),
        ("/nowhere/head.db3", "does not exist; give another file"),
    ],
)
def test_a_realsense_that_is_not_there_is_one_line(device: str, said: str) -> None:
    with pytest.raises(DriverError, match=said):
        RealSenseCamera("head", device, 80, 60, 30).open()


def test_a_broken_device_file_is_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "head.db3"
    broken.write_bytes(b"nothing of this kind" * 100)
    with pytest.raises(DriverError, match=r"^RealSense .*head.db3: "):
        RealSenseCamera("head", str(broken), 80, 60, 30).open()


def test_a_size_that_the_device_does_not_have_is_one_line() -> None:
    camera = SoftwareRealSense()
    camera.width_px = 90
    camera.open()
    try:
        camera.push()
        with pytest.raises(DriverError, match="sends 80x60 px, expected 90x60 px"):
            camera.read(1.0)
    finally:
        camera.close()


@pytest.mark.parametrize(
    ("module", "make"),
    [
        ("pyrealsense2", lambda: RealSenseCamera("head", "", 80, 60, 30)),
        ("cv2", lambda: UvcCamera("left_wrist", "/dev/video9", 80, 60, 30)),
    ],
)
def test_a_library_that_is_not_there_is_one_line(
    module: str, make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DriverError, match=r"cannot be loaded .*; run \./launch/doctor.sh, which installs it"):
        make().open()


@pytest.fixture
def usb() -> Iterator[tuple[UsbDevice, UvcCamera]]:
    device = UsbDevice()
    camera = UvcCamera("left_wrist", "/dev/v4l/by-path/left", 80, 60, 100.0, lambda path: device)
    camera.open()
    yield device, camera
    camera.close()


def test_opencv_hands_over_the_jpeg_of_each_picture(tmp_path: Path) -> None:
    path = tmp_path / "wrist.avi"
    write_video(path, 5)

    def raw(device: str) -> Any:
        return cv2.VideoCapture(device, cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])

    camera = UvcCamera("left_wrist", str(path), 80, 60, 30, raw)
    camera.open()
    frames = taken(camera, 5)
    for count, frame in enumerate(frames):
        assert np.abs(picture(count).astype(int) - frame.pixels).mean() < 90
        np.testing.assert_array_equal(simplejpeg.decode_jpeg(frame.jpeg, "RGB"), frame.pixels)
    with pytest.raises(DriverError, match="stream stopped; check its cable"):
        camera.read(0.5)
    camera.close()


def test_the_kernels_stamp_is_the_time_of_the_picture(usb: tuple[UsbDevice, UvcCamera]) -> None:
    device, camera = usb
    before_ns = time.monotonic_ns()
    device.push()
    stamped_ns = time.monotonic_ns()
    time.sleep(0.05)  # the picture waits
    frame = camera.read(1.0)
    assert frame is not None
    assert before_ns - 2_000_000 < frame.capture_ns <= stamped_ns


@pytest.mark.parametrize("stamp_ms", [0.0, -5.0, 1e12])
def test_a_stamp_of_another_clock_gives_way_to_the_arrival(
    stamp_ms: float, usb: tuple[UsbDevice, UvcCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    device, camera = usb
    monkeypatch.setattr(device, "get", lambda key: stamp_ms)
    device.push()
    before_ns = time.monotonic_ns()
    frame = camera.read(1.0)
    assert frame is not None
    assert before_ns <= frame.capture_ns <= frame.returned_ns


def test_a_broken_jpeg_is_left_out(usb: tuple[UsbDevice, UvcCamera], monkeypatch: pytest.MonkeyPatch) -> None:
    device, camera = usb
    whole, count = device.retrieve, iter(range(10))
    monkeypatch.setattr(
        device,
        "retrieve",
        lambda: (True, np.frombuffer(b"\xff\xd8broken", np.uint8)[None]) if next(count) == 0 else whole(),
    )
    device.push()
    device.push()
    frame = camera.read(1.0)
    assert frame is not None and frame.number == 1
    assert camera.read(0.05) is None


@pytest.mark.parametrize(
    "jpeg",
    [with_stray_bytes(2), with_stray_bytes(8), with_restarts()[0][:-2]],
    ids=["2 stray bytes", "8 stray bytes", "no end"],
)
def test_a_jpeg_with_a_flaw_that_costs_no_pixel_is_taken(jpeg: bytes, usb: tuple[UsbDevice, UvcCamera]) -> None:
    """Before, a camera that sends nothing else was refused after ten pictures; other programs show them."""
    device, camera = usb
    with pytest.raises(ValueError, match=r"extraneous bytes|Premature end"):
        simplejpeg.decode_jpeg(jpeg, "RGB")
    for _ in range(12):
        device.push(jpeg)
    frames = taken(camera, 12)
    whole = simplejpeg.decode_jpeg(with_restarts()[0], "RGB")
    assert camera.damaged == 0 and [frame.number for frame in frames] == list(range(1, 13))
    for frame in frames:
        assert np.abs(frame.pixels.astype(int) - whole).mean() < 3, "encoded once more"
        np.testing.assert_array_equal(
            simplejpeg.decode_jpeg(frame.jpeg, "RGB"), frame.pixels
        )  # strictly: as any reader


def damaged() -> dict[str, bytes]:
    """Pictures of which a part is lost, by what happened to them."""
    jpeg, places = with_restarts()
    return {
        "cut off": jpeg[: len(jpeg) // 2],
        "a packet lost": jpeg[: places[1] + 20] + jpeg[places[1] + 120 :],
        "a marker lost": jpeg[: places[2]] + jpeg[places[2] + 2 :],
        "nothing": b"",
        "no JPEG": b"\xff\xd8broken",
    }


@pytest.mark.parametrize("jpeg", damaged().values(), ids=damaged().keys())
def test_a_picture_that_lacks_a_part_is_left_out_and_counted(jpeg: bytes, usb: tuple[UsbDevice, UvcCamera]) -> None:
    device, camera = usb
    for _ in range(3):
        device.push(jpeg or b"\0")
        device.push()
    frames = taken(camera, 3)
    assert camera.damaged == 3 and [frame.number for frame in frames] == [1, 2, 3]


@pytest.mark.parametrize(
    ("mode", "said"), [(0o660, "who is not in group video; run sudo usermod -a -G video"), (0o600, "nor for")]
)
def test_a_device_without_permission_names_the_group(mode: int, said: str, tmp_path: Path) -> None:
    """Before, it was said to be held by another program, or not to be plugged in."""
    device = tmp_path / "video0"
    device.touch()
    with no_permission(device, mode), pytest.raises(DriverError, match=said) as raised:
        UvcCamera("left_wrist", str(device), 80, 60, 30).open()
    assert str(raised.value).startswith(f"{device}: no permission for ") and "cannot be opened" not in str(raised.value)


def test_a_realsense_without_permission_names_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realsense, "USB_DEVICES", tmp_path / "sys")
    monkeypatch.setattr(realsense, "USB_NODES", tmp_path / "dev")
    for name, maker, product, device in (("1-1", "1d6b", "0002", 2), ("2-4", "8086", "0b07", 7)):
        (tmp_path / "sys" / name).mkdir(parents=True)
        for file, value in (("idVendor", maker), ("idProduct", product), ("busnum", 2), ("devnum", device)):
            (tmp_path / "sys" / name / file).write_text(f"{value}\n")
    node = tmp_path / "dev" / "002" / "007"
    node.parent.mkdir(parents=True)
    node.touch()
    camera = RealSenseCamera("head", "", 80, 60, 30)
    with pytest.raises(DriverError, match="no RealSense is plugged in"):
        camera.open()
    said = (
        r"^RealSense of any number: /.*/002/007: no permission for .* group video; run sudo usermod .*realsense.rules"
    )
    with no_permission(node, 0o660), pytest.raises(DriverError, match=said):
        camera.open()


@contextmanager
def no_permission(device: Path, mode: int) -> Generator[None]:
    """The device is another user's, and of group video, whoever runs the tests."""
    if os.geteuid() != 0:
        pytest.skip("needs root: only root gives a file away")
    for folder in device.relative_to("/tmp").parents:
        (Path("/tmp") / folder).chmod(0o755)
    os.chown(device, 0, grp.getgrnam("video").gr_gid)
    device.chmod(mode)
    groups = os.getgroups()
    os.setgroups([])
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setgroups(groups)


def test_jpeg_and_the_shortest_queue_are_asked_for(usb: tuple[UsbDevice, UvcCamera]) -> None:
    asked = usb[0].settings
    assert round(asked[cv2.CAP_PROP_FOURCC]).to_bytes(4, "little") == b"MJPG"
    assert asked[cv2.CAP_PROP_BUFFERSIZE] == 1 and asked[cv2.CAP_PROP_CONVERT_RGB] == 0


def test_a_usb_camera_that_gives_no_jpeg_is_named(
    usb: tuple[UsbDevice, UvcCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = UsbDevice()
    yuyv = float(cv2.VideoWriter.fourcc(*"YUYV"))
    monkeypatch.setattr(raw, "get", lambda key: yuyv if key == cv2.CAP_PROP_FOURCC else 0.0)
    with pytest.raises(DriverError, match=r"^/dev/video9: sends YUYV, expected MJPG; choose a size and rate"):
        UvcCamera("left_wrist", "/dev/video9", 80, 60, 30, lambda path: raw).open()
    device, camera = usb  # one that does not tell
    monkeypatch.setattr(device, "retrieve", lambda: (True, np.zeros((60, 80, 2), np.uint8)))
    for _ in range(10):
        device.push()
    with pytest.raises(DriverError, match="the last 10 frames are not JPEG; check that it offers MJPG"):
        camera.read(2.0)


@pytest.mark.parametrize(
    ("given_hz", "refused"), [(15.0, True), (0.0, False), (-1.0, False), (30.0, False), (60.0, False)]
)
def test_a_usb_camera_that_cannot_give_the_rate_is_refused(
    given_hz: float, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rate is read back: a camera takes the nearest that it has. Of a quicker one the rest is left out."""
    device = UsbDevice()
    monkeypatch.setattr(device, "get", lambda key: given_hz if key == cv2.CAP_PROP_FPS else 0.0)
    camera = UvcCamera("left_wrist", "/dev/video9", 80, 60, 30, lambda path: device)
    if not refused:
        camera.open()
        return
    with pytest.raises(
        DriverError, match=r"^/dev/video9: sends 15 frames/s at 80x60 px, expected 30; choose a size and"
    ):
        camera.open()


def test_an_unplugged_usb_camera_is_named(usb: tuple[UsbDevice, UvcCamera], monkeypatch: pytest.MonkeyPatch) -> None:
    device, camera = usb
    device.push()
    monkeypatch.setattr(device, "grab", lambda: False)
    with pytest.raises(DriverError, match=r"^/dev/v4l/by-path/left: stream stopped"):
        camera.read(1.0)


def test_what_opencv_raises_is_a_drivers_error(
    usb: tuple[UsbDevice, UvcCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    device, camera = usb

    def broken(timeout_ns: int) -> bool:
        raise cv2.error("(-215:Assertion failed)\nin waitAny")

    monkeypatch.setattr(device, "wait", broken, raising=False)
    with pytest.raises(DriverError, match=r"^/dev/.*Assertion failed\) in waitAny; check its cable"):
        camera.read(1.0)


def test_what_librealsense_raises_is_a_drivers_error(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = SoftwareRealSense()
    camera.open()

    class Gone:
        def try_wait_for_frame(self, timeout_ms: int) -> None:
            raise RuntimeError("Device disconnected")

        def stop(self) -> None:
            raise RuntimeError("stop() cannot be called before start()")

    camera.close()
    monkeypatch.setattr(camera, "_frames", Gone())
    monkeypatch.setattr(camera, "_pipeline", Gone())
    with pytest.raises(DriverError, match=r"^RealSense .*Device disconnected; plug it into a USB 3 port"):
        camera.read(0.1)
    camera.close()


def test_a_usb_camera_of_another_size_is_named() -> None:
    device = UsbDevice()
    camera = UvcCamera("left_wrist", "/dev/video9", 640, 480, 30, lambda path: device)
    camera.open()
    device.push()
    with pytest.raises(DriverError, match="sends 80x60 px, expected 640x480 px; choose a size that it offers"):
        camera.read(1.0)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("/dev/nothing", "does not exist; list the devices"),
        ("/dev/null", "cannot be opened; check its cable"),
        ("", "its device is missing; give --cameras"),
    ],
)
def test_a_usb_camera_that_is_not_there_is_one_line(device: str, said: str) -> None:
    with pytest.raises(DriverError, match=said):
        UvcCamera("left_wrist", device, 80, 60, 30).open()


@pytest.mark.parametrize("content", [None, b"", b"no video" * 50])
def test_a_file_that_is_no_video_is_one_line(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "video.avi"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DriverError, match=r"^/.*video.avi .*give (a|another) video file"):
        FileCamera("head", str(path), 80, 60, 30).open()


def test_a_video_is_scaled_and_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "video.avi"
    write_video(path, 3)
    camera = FileCamera("head", str(path), 40, 30, 200.0)
    camera.open()
    frames = taken(camera, 7)
    camera.close()
    assert frames[0].pixels.shape == (30, 40, 3)
    assert frames[0].jpeg == frames[3].jpeg == frames[6].jpeg != frames[1].jpeg
