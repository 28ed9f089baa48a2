"""The cameras process: every configured camera can be made, each by its own driver, and one that hangs blinds no other."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from camera_plug import Plug
from frames_by_hand import PIXELS

from drivers.camera import CameraFrame, wait_for_trigger
from drivers.camera_process import CameraProcess
from drivers.cobot_magic import CAMERAS
from runtime.config.loading import load_settings
from runtime.config.settings import Settings
from runtime.devices import camera_monitor, cameras
from runtime.devices.cameras import make_camera
from runtime.messaging import messages


def test_every_configured_camera_can_be_made(settings: Settings, tmp_path: Path) -> None:
    for name in CAMERAS:
        camera = make_camera(name, settings, tmp_path)
        assert (camera.name, camera.width_px, camera.height_px) == (name, 256, 192)


class Hanging(Plug):
    """A camera that never returns from `open`."""

    usb = ""

    def open(self) -> None:
        threading.Event().wait()


class Rhythmic(Plug):
    """A camera that gives a picture a period."""

    usb = ""

    def open(self) -> None:
        self._count = 0

    def read(self, timeout_s: float) -> CameraFrame | None:
        wait_for_trigger(self.rate_hz)
        self._count += 1
        now_ns = time.monotonic_ns()
        return CameraFrame(self._count, now_ns, now_ns, PIXELS, b"%d" % self._count, True)


class Run:
    """What `main` needs of its process; it ends once the cameras were judged as `until` says."""

    def __init__(self, settings: Settings, folder: Path, until: Callable[[dict[str, str]], bool]) -> None:
        self.settings, self.folder, self.epoch, self.running = settings, folder, 1, True
        self._until = until
        self.judged: list[dict[str, str]] = []

    def publisher(self, name: str) -> "Run":
        return self

    def send(self, message: object) -> None:
        if isinstance(message, messages.CameraHealth):
            self.judged.append({state.camera: state.verdict for state in message.cameras})
            self.running = self.running and not self._until(self.judged[-1])

    def pause(self, duration_s: float) -> None:
        time.sleep(min(duration_s, 0.01))

    def settle(self) -> None: ...

    def stepped(self) -> None: ...

    def fault(self, name: str, text: str) -> None: ...


def test_a_camera_that_hangs_in_open_blinds_no_other(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, nothing was judged, and after 90 s the process of all cameras was said to make no progress."""
    monkeypatch.setattr(camera_monitor, "OPEN_S", 3.5)

    def named(verdicts: dict[str, str]) -> bool:
        return "hung" in verdicts["head"]

    run = Run(settings, tmp_path, named)
    threading.Timer(20.0, lambda: setattr(run, "running", False)).start()

    def made(name: str, settings: Settings, folder: Path) -> Plug:
        camera = Hanging() if name == "head" else Rhythmic()
        camera.name = name
        return camera

    cameras.main(run, made)  # pyright: ignore[reportArgumentType]
    first, last = run.judged[0], run.judged[-1]
    assert first["head"] == "opening, for 3 s (limit 4 s)"
    assert last["head"].startswith("hung in open(), for 4 s (limit 4 s); check logs/cameras.log of the session")
    assert last["left_wrist"] == last["right_wrist"] == ""


def test_devices_are_opened_in_processes_of_their_own(tmp_path: Path) -> None:
    """Librealsense keeps Python's lock while it opens a camera: no thread beside it would run."""
    for kind in ("realsense", "uvc", "file"):
        settings = load_settings(["--profile", "sim", "--cameras.head.kind", kind, "--cameras.head.device", "/nowhere"])
        assert isinstance(make_camera("head", settings, tmp_path), CameraProcess)
