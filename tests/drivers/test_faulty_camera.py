"""What can go wrong with a simulated camera, one by one. Called by pytest."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from camera_rigs import write_video

from drivers.camera import CameraFrame
from drivers.errors import DriverError
from drivers.file_camera import FileCamera
from drivers.sim.faulty_camera import CameraFaults, FaultyCamera


@dataclass
class Rig:
    """A camera that reads a recorded video, and the switch."""

    camera: FaultyCamera = field(init=False)
    faults: CameraFaults = field(default_factory=CameraFaults)
    during: dict[str, Any] = field(default_factory=dict[str, Any])  # what is switched on while the next picture is read

    def asked(self) -> CameraFaults:
        now, self.faults = self.faults, CameraFaults(**self.during) if self.during else self.faults
        self.during = {}
        return now

    def switch(self, **faults: Any) -> None:
        self.faults = CameraFaults(**faults)

    def read(self) -> CameraFrame:
        frame = self.camera.read(1.0)
        assert frame is not None
        return frame


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    write_video(tmp_path / "video.avi", 60)
    made = Rig()
    made.camera = FaultyCamera(FileCamera("head", str(tmp_path / "video.avi"), 64, 48, 60), made.asked)
    made.camera.open()
    return made


def test_without_a_fault_it_is_the_camera(rig: Rig) -> None:
    first, second = rig.read(), rig.read()
    assert second.number == first.number + 1 and second.capture_ns > first.capture_ns
    assert (rig.camera.name, rig.camera.width_px, rig.camera.height_px, rig.camera.rate_hz) == ("head", 64, 48, 60)


def test_frozen_repeats_the_frame_as_it_was(rig: Rig) -> None:
    last = rig.read()
    rig.switch(frozen=True)
    assert rig.read() == last and rig.read() == last
    rig.switch()
    assert rig.read().number == last.number + 1


@pytest.mark.parametrize("fault", ["frozen", "same_bytes"])
def test_a_fault_that_begins_while_it_reads_counts_for_that_picture(rig: Rig, fault: str) -> None:
    """Else the fault would begin a period and a rendering later than whoever switched it on believes."""
    last = rig.read()
    rig.during = {fault: True}
    assert rig.read().jpeg == last.jpeg


def test_unplugged_while_it_reads_it_gives_no_picture(rig: Rig) -> None:
    rig.during = {"unplugged": True}
    with pytest.raises(DriverError, match=r"^device is gone"):
        rig.read()


def test_a_repeated_picture_has_new_numbers_and_stamps(rig: Rig) -> None:
    last = rig.read()
    rig.switch(same_bytes=True)
    first, second = rig.read(), rig.read()
    assert first.jpeg == second.jpeg == last.jpeg
    assert last.number < first.number < second.number and last.capture_ns < first.capture_ns < second.capture_ns


def test_unplugged_it_can_be_neither_read_nor_opened(rig: Rig) -> None:
    rig.switch(unplugged=True)
    with pytest.raises(DriverError, match=r"^device is gone"):
        rig.read()
    with pytest.raises(DriverError, match=r"^device is gone"):
        rig.camera.open()
    rig.switch()
    rig.camera.close()
    rig.camera.open()
    assert np.any(rig.read().pixels)


def test_a_slow_camera_takes_its_time(rig: Rig) -> None:
    rig.switch(slow_s=0.2)
    before = time.monotonic()
    rig.read()
    assert time.monotonic() - before >= 0.2


def test_skewed_pictures_are_older(rig: Rig) -> None:
    rig.switch(skew_s=5.0)
    frame = rig.read()
    assert frame.returned_ns - frame.capture_ns >= 5_000_000_000
