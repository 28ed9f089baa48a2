"""A camera's driver in its own process: whatever its library does, the call ends, says so, leaves nothing. Called by pytest.

The library is a stand-in that hangs in C with Python's lock held, or ends the process; the others are real.
"""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from camera_rigs import HANGS, Library, write_video

from drivers import camera_process
from drivers.camera_process import CameraProcess
from drivers.errors import DriverError
from drivers.file_camera import FileCamera


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setattr(camera_process, "OPEN_S", 0.5)
    monkeypatch.setattr(camera_process, "CLOSE_S", 0.3)
    monkeypatch.setattr(camera_process, "_LATE_S", 0.3)
    return Library(tmp_path, monkeypatch)


def realsense() -> CameraProcess:
    return CameraProcess("realsense", "head", "", 80, 60, 30)


def pid_of(camera: CameraProcess) -> int:
    process = camera._process  # pyright: ignore[reportPrivateUsage]
    assert process is not None
    return process.pid


def test_a_library_that_hangs_in_open_with_pythons_lock_holds_up_nobody(library: Library, tmp_path: Path) -> None:
    """Librealsense#6343. In a thread of one process the other camera's pictures would stop, and the judge with them."""
    library.does("open", HANGS)
    write_video(tmp_path / "video.avi", 3)
    other, errors, times = CameraProcess("file", "left_wrist", str(tmp_path / "video.avi"), 80, 60, 100.0), [""], [0.0]
    other.open()

    def opened() -> None:
        try:
            realsense().open()
        except DriverError as error:
            errors.append(str(error))

    hanging = threading.Thread(target=opened)
    hanging.start()
    while hanging.is_alive():
        assert other.read(1.0) is not None
        times.append(time.monotonic())
    other.close()
    assert len(times) > 30, "pictures all the time"
    assert errors[-1].startswith("RealSense of any number: hung in open() (no answer within 0.5 s); unplug it and plug")


def test_a_camera_that_hangs_leaves_no_process_and_is_tried_again(library: Library) -> None:
    library.does("open", HANGS)
    camera = realsense()
    for _ in range(2):
        with pytest.raises(DriverError, match=r"hung in open\(\)"):
            camera.open()
        assert camera._process is None  # pyright: ignore[reportPrivateUsage]
    library.does("open", "pass")
    camera.open()
    assert camera.read(0.1) is None
    camera.close()


def test_a_library_that_hangs_in_read_is_named(library: Library) -> None:
    library.does("read", HANGS)
    camera = realsense()
    camera.open()
    began = time.monotonic()
    with pytest.raises(DriverError, match=r"hung in read\(\) \(no answer within 0.5 s\)"):
        camera.read(0.2)
    assert time.monotonic() - began < 3
    camera.close()


def test_a_library_that_hangs_in_close_does_not_keep_its_camera(library: Library) -> None:
    library.does("close", HANGS)
    camera = realsense()
    camera.open()
    process, began = pid_of(camera), time.monotonic()
    camera.close()
    assert time.monotonic() - began < 3 and not Path(f"/proc/{process}").exists()


@pytest.mark.parametrize(
    ("what", "said"), [("os.abort()", "ended in read() (SIGABRT)"), ("os._exit(3)", "ended in read() (status 3)")]
)
def test_a_library_that_ends_its_process_costs_that_camera(what: str, said: str, library: Library) -> None:
    library.does("read", what)
    camera = realsense()
    camera.open()
    with pytest.raises(DriverError) as raised:
        camera.read(0.2)
    assert said in str(raised.value)
    camera.close()


def test_a_process_that_the_kernel_does_not_end_is_no_reason_for_another(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that waits in an ioctl of a broken USB device: one is left, not one a second."""
    library.does("open", HANGS)
    camera = realsense()

    class Unending(subprocess.Popen[bytes]):
        def wait(self, timeout: float | None = None) -> int:
            raise subprocess.TimeoutExpired("driver", timeout or 0.0)

    with monkeypatch.context() as stuck:
        stuck.setattr(subprocess, "Popen", Unending)
        with pytest.raises(DriverError, match=r"hung in open\(\)"):
            camera.open()
        first = pid_of(camera)
        with pytest.raises(DriverError, match=f"hung in the kernel .process {first} cannot be ended.; power-cycle"):
            camera.open()
        assert pid_of(camera) == first
    process = camera._process  # pyright: ignore[reportPrivateUsage]
    assert process is not None
    process.__class__ = subprocess.Popen  # it ends after all
    library.does("open", "pass")
    camera.open()
    camera.close()


def test_whatever_a_library_raises_is_a_drivers_error(library: Library) -> None:
    library.does("read", "raise ValueError('no such\\nthing')")
    camera = realsense()
    camera.open()
    with pytest.raises(DriverError, match=r"^ValueError: no such thing$"):
        camera.read(0.2)
    camera.close()


def test_pictures_pass_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "video.avi"
    write_video(path, 3)
    camera, direct = (
        CameraProcess("file", "head", str(path), 80, 60, 100.0),
        FileCamera("head", str(path), 80, 60, 100.0),
    )
    camera.open()
    direct.open()
    before_ns = time.monotonic_ns()
    frames, wanted = [camera.read(1.0) for _ in range(4)], [direct.read(1.0) for _ in range(4)]
    camera.close()
    assert not camera.noisy
    for frame, same in zip(frames, wanted, strict=True):
        assert frame is not None and same is not None
        assert (frame.number, frame.jpeg, frame.exact) == (same.number, same.jpeg, same.exact)
        np.testing.assert_array_equal(frame.pixels, same.pixels)
        assert before_ns < frame.capture_ns <= frame.returned_ns <= time.monotonic_ns()
        before_ns = frame.capture_ns


def test_the_drivers_own_words_pass(tmp_path: Path) -> None:
    camera = CameraProcess("uvc", "left_wrist", str(tmp_path / "gone"), 80, 60, 30)
    with pytest.raises(DriverError, match=r"gone: does not exist; list the devices"):
        camera.open()
    with pytest.raises(DriverError, match="is not open"):
        camera.read(0.1)
    camera.close()


def test_the_driver_ends_with_its_maker(tmp_path: Path) -> None:
    write_video(tmp_path / "video.avi", 3)
    code = f"""
from drivers.camera_process import CameraProcess
camera = CameraProcess("file", "head", {str(tmp_path / "video.avi")!r}, 80, 60, 30)
camera.open()
print(camera._process.pid, flush=True)
import os; os.kill(os.getpid(), 9)
"""
    maker = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    process, deadline = Path(f"/proc/{int(maker.stdout)}"), time.monotonic() + 5
    while process.exists() and "Z" not in (process / "stat").read_text().rpartition(")")[2].split()[0]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
