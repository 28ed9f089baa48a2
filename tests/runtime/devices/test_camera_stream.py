"""A camera's thread: lost, silent and opened again; too quick; frames out of order.

Frames are made by hand; time is a number.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from camera_plug import Plug
from frames_by_hand import PERIOD_NS, START_NS, frame, healthy

from drivers.camera import CameraFrame
from drivers.errors import DriverError
from runtime.config.settings import Settings
from runtime.devices import camera_stream
from runtime.devices.camera_monitor import CameraMonitor, verdict
from runtime.devices.camera_stream import frames
from runtime.errors import RuntimeFault
from runtime.host.clock import seconds
from runtime.messaging import messages

LATE_S = 0.1


@pytest.mark.parametrize("rate_hz", [60, 90])
def test_of_a_camera_that_is_too_quick_the_rest_is_left_out(rate_hz: int) -> None:
    made = [frame(count, capture_ns=START_NS + round(count * 1e9 / rate_hz)) for count in range(1, 181)]
    plug, monitor = Plug(*made), CameraMonitor(30.0, True, START_NS)
    seen = [taken.capture_ns for taken in frames(plug, plug, monitor)]  # pyright: ignore[reportArgumentType]
    assert seen == [taken.capture_ns for taken in made[:: rate_hz // 30]]
    assert len(monitor.arrived) == 30


def test_a_lost_camera_is_named_and_opened_again() -> None:
    first, second = frame(1), frame(2)
    plug, monitor = Plug("not there", first, None, "unplugged", second), CameraMonitor(30.0, True, START_NS)
    seen = [(made, monitor.fault) for made in frames(plug, plug, monitor)]  # pyright: ignore[reportArgumentType]
    assert seen == [(first, ""), (second, "")]
    assert plug.calls == ["open", "pause", "open", "close", "pause", "open", "close"]
    assert monitor.fault == ""


def test_whatever_a_library_raises_the_camera_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = frame(1), frame(2)
    plug, monitor = Plug(first, "unplugged", second), CameraMonitor(30.0, True, START_NS)
    read = plug.read

    def gone(timeout_s: float) -> CameraFrame | None:
        try:
            return read(timeout_s)
        except DriverError:
            raise RuntimeError("xioctl(VIDIOC_DQBUF)\nfailed") from None

    def stuck() -> None:
        plug.calls.append("close")
        raise RuntimeError("stop() cannot be called before start()")

    monkeypatch.setattr(plug, "read", gone)
    monkeypatch.setattr(plug, "close", stuck)
    seen = frames(plug, plug, monitor)  # pyright: ignore[reportArgumentType]
    assert next(seen) == first
    monkeypatch.setattr(plug, "pause", lambda duration_s: plug.calls.append(monitor.fault))
    assert next(seen) == second
    assert plug.calls == ["open", "close", "RuntimeError: xioctl(VIDIOC_DQBUF) failed", "open"]


def test_what_is_wrong_stays_said_until_it_is_well() -> None:
    plug, monitor = Plug("not there"), CameraMonitor(30.0, True, START_NS)
    assert list(frames(plug, plug, monitor)) == []  # pyright: ignore[reportArgumentType]
    assert (monitor.fault, plug.calls) == ("not there", ["open"])


def test_a_silent_camera_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_stream, "_SILENT_S", -1.0)  # at once
    plug, monitor = Plug(frame(1)), CameraMonitor(30.0, True, START_NS)
    made = frames(plug, plug, monitor)  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(plug, "pause", lambda duration_s: plug.events.clear())
    assert list(made) == []
    assert plug.calls == ["open", "close"]


class Out:
    """A process that notes what a camera's thread tells; the rest of it is a plug."""

    def __init__(self, plug: Plug, settings: Settings, folder: Path) -> None:
        self._plug, self.settings, self.folder, self.epoch = plug, settings, folder, 1
        self.notices: list[messages.Frame] = []

    @property
    def running(self) -> bool:
        return self._plug.running

    def pause(self, duration_s: float) -> None:
        self._plug.pause(duration_s)

    def publisher(self, name: str) -> "Out":
        assert name == "frame.head"
        return self

    def send(self, notice: messages.Frame) -> None:
        self.notices.append(notice)


@pytest.mark.parametrize(
    ("wrong_ns", "said"),
    [
        (-2 * PERIOD_NS, "its capture time went back by 133 ms"),
        (-(10**15), "its capture time went back by"),
        (10**15, "its capture time is 1000000000 ms ahead of the clock"),
    ],
    ids=["back", "far back", "ahead"],
)
def test_a_picture_whose_stamp_is_out_of_order_goes_to_nobody(
    wrong_ns: int, said: str, settings: Settings, tmp_path: Path
) -> None:
    """Readers search frames by time; one that is ahead of all others would hide those that follow."""
    wrong = replace(frame(5), capture_ns=frame(5).capture_ns + wrong_ns)
    pictures = [*healthy(4), wrong, frame(6), frame(7)]
    plug, monitor = Plug(*pictures), CameraMonitor(30.0, True, START_NS)
    out = Out(plug, settings, tmp_path)
    camera_stream._pass_on(out, plug, monitor)  # pyright: ignore[reportPrivateUsage, reportArgumentType]
    times = [notice.capture_ns for notice in out.notices]
    assert times == [frame(count).capture_ns for count in (1, 2, 3, 4, 6, 7)]
    assert [notice.seq for notice in out.notices] == [1, 2, 3, 4, 5, 6]
    assert monitor.misplaced == "" and not monitor.in_order(wrong) and said in monitor.misplaced
    late = verdict("head", monitor, LATE_S, monitor.progress_ns + seconds(1.0)).verdict
    assert late.startswith("no new frame for 1000 ms (limit 100 ms): its capture time ")


def test_a_camera_whose_pictures_find_no_room_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody would know: its thread is gone, and the others wait for it."""

    def full(*_: object) -> None:
        raise RuntimeFault("/dev/shm: 64 MiB free, frames of head need 330 MiB; enlarge it")

    monkeypatch.setattr(camera_stream, "_pass_on", full)
    plug, monitor = Plug(), CameraMonitor(30.0, True, START_NS)
    camera_stream.stream(plug, plug, monitor)  # pyright: ignore[reportArgumentType]
    assert "head need 330 MiB; enlarge it" in verdict("head", monitor, 0.1, START_NS).verdict
