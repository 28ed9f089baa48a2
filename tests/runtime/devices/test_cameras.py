"""The judge of the cameras: frozen by stamp, by number, by bytes; late; slow; and the text that names it.

Frames are made by hand; time is a number.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drivers.camera import CameraFrame, wait_for_trigger
from drivers.camera_process import CameraProcess
from drivers.cobot_magic import CAMERAS
from drivers.errors import DriverError
from models.requirements import needs_of
from models.sizes import small
from runtime.config.loading import load_settings
from runtime.config.settings import Settings
from runtime.devices import cameras
from runtime.devices.cameras import CameraMonitor, frames, make_camera, ring_slots, verdict
from runtime.errors import RuntimeFault
from runtime.host.clock import seconds
from runtime.messaging import messages

START_NS = 1_000_000_000_000
PERIOD_NS = 33_333_333
LATE_S = 0.1
PIXELS = np.zeros((2, 2, 3), np.uint8)


def frame(
    count: int, *, number: int | None = None, capture_ns: int | None = None, jpeg: bytes | None = None
) -> CameraFrame:
    """The camera's `count`-th picture as it should be, but for what is given."""
    stamp_ns = START_NS + count * PERIOD_NS if capture_ns is None else capture_ns
    return CameraFrame(
        count if number is None else number, stamp_ns, stamp_ns, PIXELS, b"%d" % count if jpeg is None else jpeg, True
    )


def monitored(frames: list[CameraFrame], *, noisy: bool = True) -> CameraMonitor:
    """A watch that saw these pictures, one a period."""
    monitor = CameraMonitor(30.0, noisy, START_NS)
    previous = None
    for count, made in enumerate(frames, 1):
        monitor.saw(count, made, previous, START_NS + count * PERIOD_NS)
        previous = made
    return monitor


def judged(monitor: CameraMonitor, after_s: float) -> str:
    """The verdict, so long after the tenth picture."""
    return verdict("head", monitor, LATE_S, START_NS + 10 * PERIOD_NS + seconds(after_s)).verdict


def healthy(count: int = 10) -> list[CameraFrame]:
    return [frame(number) for number in range(1, count + 1)]


def delivered(*delays_s: float) -> CameraMonitor:
    """A watch of pictures that came so long after their exposure."""
    monitor = CameraMonitor(30.0, True, START_NS)
    previous = None
    for count, delay_s in enumerate(delays_s, 1):
        made = frame(count)
        monitor.saw(count, made, previous, made.capture_ns + seconds(delay_s))
        previous = made
    return monitor


def test_a_camera_that_delivers_later_than_the_others_is_named() -> None:
    monitors = {"head": delivered(0.09, 0.08, 0.09), "left_wrist": delivered(0.01, 0.02, 0.01)}
    late = cameras.behind(monitors, 0.05)
    assert late == {"head": "frames arrive 70 ms later than another camera's (limit 50 ms)"}
    state = verdict("head", monitors["head"], LATE_S, START_NS + 3 * PERIOD_NS, late["head"])
    assert state.verdict == late["head"]


def test_a_picture_that_is_late_once_is_no_skewed_camera() -> None:
    monitors = {
        "head": delivered(0.01, 0.2, 0.2),
        "left_wrist": delivered(0.01, 0.01, 0.01),
        "right_wrist": delivered(),
    }
    assert cameras.behind(monitors, 0.05) == {}


def test_a_camera_in_its_rhythm_is_well() -> None:
    state = verdict("head", monitored(healthy(60)), LATE_S, START_NS + 60 * PERIOD_NS)
    assert (state.camera, state.verdict, state.number) == ("head", "", 60)
    assert state.rate_hz == pytest.approx(30.0, abs=0.1)
    assert state.capture_ns == START_NS + 60 * PERIOD_NS


def test_a_camera_without_any_picture_says_so() -> None:
    state = verdict("head", CameraMonitor(30.0, True, START_NS), LATE_S, START_NS)
    assert (state.verdict, state.rate_hz) == ("no frame yet", 0.0)


@pytest.mark.parametrize(("after_s", "late"), [(0.0, False), (0.1, False), (0.101, True), (2.0, True)])
def test_a_late_picture_is_told_with_its_age(after_s: float, late: bool) -> None:
    text = judged(monitored(healthy()), after_s)
    assert bool(text) == late
    assert not late or text == f"no new frame for {after_s * 1e3:.0f} ms (limit {LATE_S * 1e3:.0f} ms)"


@pytest.mark.parametrize(
    "stuck",
    [
        {"capture_ns": START_NS + 5 * PERIOD_NS},
        {"number": 5},
        {"jpeg": b"5"},
        {"capture_ns": START_NS + 5 * PERIOD_NS, "number": 5, "jpeg": b"5"},
    ],
    ids=["stamp", "number", "bytes", "all"],
)
def test_a_frozen_camera_is_noticed_within_150_ms(stuck: dict[str, int | bytes]) -> None:
    """From its fifth picture on it repeats itself."""
    frames = [frame(count, **(stuck if count > 5 else {})) for count in range(1, 11)]  # pyright: ignore[reportArgumentType]
    monitor = monitored(frames)
    assert monitor.number == 5
    frozen_ns = START_NS + 5 * PERIOD_NS
    assert "no new frame" in verdict("head", monitor, LATE_S, frozen_ns + seconds(0.15)).verdict
    assert not verdict("head", monitor, LATE_S, frozen_ns + seconds(0.09)).verdict


def test_equal_bytes_are_normal_for_a_camera_without_noise() -> None:
    monitor = monitored([frame(count, jpeg=b"still") for count in range(1, 11)], noisy=False)
    assert judged(monitor, 0.0) == "" and monitor.number == 10


@pytest.mark.parametrize("stuck", ["capture_ns", "number"])
def test_a_camera_without_noise_freezes_by_stamp_or_number(stuck: str) -> None:
    pictures = range(1, 11)
    by_stamp, by_number = [frame(n, capture_ns=START_NS) for n in pictures], [frame(n, number=1) for n in pictures]
    monitor = monitored(by_stamp if stuck == "capture_ns" else by_number, noisy=False)
    assert monitor.number == 1
    assert "no new frame" in judged(monitor, 0.0)


def test_a_camera_that_moves_again_is_well() -> None:
    monitor = monitored([*healthy(5), *(frame(count, number=5) for count in range(6, 10)), frame(10)])
    assert judged(monitor, 0.0) == "" and monitor.number == 10


def test_pictures_that_come_in_time_but_are_old_are_named() -> None:
    lag_ns = seconds(0.5)
    monitor = monitored([frame(count, capture_ns=START_NS + count * PERIOD_NS - lag_ns) for count in range(1, 11)])
    assert judged(monitor, 0.0) == f"frames are 500 ms old (limit {LATE_S * 2e3:.0f} ms)"


def test_another_condition_is_another_kind_and_other_figures_are_none() -> None:
    """Three of them begin with the same word, and a change between these is told at once too."""
    old, older = "frames are 400 ms old (limit 160 ms)", "frames are 412.5 ms old (limit 160 ms)"
    behind, lost = "frames arrive 60 ms later than another camera's (limit 50 ms)", "frames cannot be forwarded (full)"

    def kind(verdict: str) -> str:
        return cameras.kind(messages.CameraState(camera="head", number=1, capture_ns=1, rate_hz=30.0, verdict=verdict))

    assert kind(old) == kind(older)
    assert len({kind(verdict) for verdict in (old, behind, lost, "no frame yet", "")}) == 5
    assert kind("") == ""


def test_a_drivers_trouble_comes_first() -> None:
    monitor = monitored(healthy())
    monitor.fault = "head: unplugged"
    assert judged(monitor, 5.0) == "head: unplugged"


def test_the_rate_is_that_of_the_captures() -> None:
    frames = [frame(count, capture_ns=START_NS + count * 2 * PERIOD_NS) for count in range(1, 40)]
    assert verdict("head", monitored(frames), LATE_S, START_NS).rate_hz == pytest.approx(15.0, abs=0.1)


@pytest.mark.parametrize(("rate_hz", "said"), [(15.0, True), (20.0, False), (30.0, False), (60.0, False)])
def test_a_camera_that_is_much_too_slow_is_told(rate_hz: float, said: bool) -> None:
    """Half the rate, as in the dark, is within the age of frames that is allowed."""
    monitor = monitored(healthy())
    monitor.arrived.extend(START_NS + round(count * 1e9 / rate_hz) for count in range(30))
    assert (judged(monitor, 0.0) == "sends 15.0 frames/s (limit 18.0); " + cameras.SLOW_REMEDY) is said
    monitor.simulated = True
    assert judged(monitor, 0.0) == "", "what a slow machine draws is reported otherwise"


@pytest.mark.parametrize("rate_hz", [60, 90])
def test_of_a_camera_that_is_too_quick_the_rest_is_left_out(rate_hz: int) -> None:
    made = [frame(count, capture_ns=START_NS + round(count * 1e9 / rate_hz)) for count in range(1, 181)]
    plug, monitor = Plug(*made), CameraMonitor(30.0, True, START_NS)
    seen = [taken.capture_ns for taken in frames(plug, plug, monitor)]  # pyright: ignore[reportArgumentType]
    assert seen == [taken.capture_ns for taken in made[:: rate_hz // 30]]
    assert len(monitor.arrived) == 30


def test_pictures_that_cannot_be_decoded_are_said_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    monitor = monitored(healthy())
    for count in range(100):
        monitor.note_damaged("head", count)
    said = [record.getMessage() for record in caplog.records]
    assert [int(line.split()[1]) for line in said] == [1, 2, 4, 8, 16, 32, 64]
    assert said[0] == "head: 1 frames could not be decoded since it was opened; use another cable or USB port"


def test_a_ring_holds_the_longest_window_and_a_second() -> None:
    policy = small()
    slots = ring_slots(needs_of(policy), 30.0)
    assert slots >= (policy.video.low.frames * policy.video.low.stride_s + 1.0) * 30
    assert ring_slots(needs_of(policy), 60.0) > 1.9 * slots
    longer = policy.model_copy(update={"history_offset_s": 5.0})
    assert ring_slots(needs_of(longer), 30.0) >= 180


def test_every_configured_camera_can_be_made(settings: Settings, tmp_path: Path) -> None:
    for name in CAMERAS:
        camera = make_camera(name, settings, tmp_path)
        assert (camera.name, camera.width_px, camera.height_px) == (name, 256, 192)


class Plug:
    """A camera that is plugged in and out; one event a call of open or read: a picture, None, or an error."""

    name, width_px, height_px, rate_hz, noisy = "head", 2, 2, 30.0, True
    damaged = 0

    def __init__(self, *events: CameraFrame | str | None) -> None:
        self.events = list(events)
        self.calls: list[str] = []

    @property
    def running(self) -> bool:
        return bool(self.events)

    def pause(self, duration_s: float) -> None:
        self.calls.append("pause")

    def open(self) -> None:
        self.calls.append("open")
        if isinstance(self.events[0], str):
            raise DriverError(str(self.events.pop(0)))

    def read(self, timeout_s: float) -> CameraFrame | None:
        event = self.events.pop(0)
        if isinstance(event, str):
            raise DriverError(event)
        return event

    def close(self) -> None:
        self.calls.append("close")


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
    monkeypatch.setattr(cameras, "_SILENT_S", -1.0)  # at once
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
    cameras._pass_on(out, plug, monitor)  # pyright: ignore[reportPrivateUsage, reportArgumentType]
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

    monkeypatch.setattr(cameras, "_pass_on", full)
    plug, monitor = Plug(), CameraMonitor(30.0, True, START_NS)
    cameras._stream(plug, plug, monitor)  # pyright: ignore[reportPrivateUsage, reportArgumentType]
    assert "head need 330 MiB; enlarge it" in verdict("head", monitor, 0.1, START_NS).verdict


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
    monkeypatch.setattr(cameras, "OPEN_S", 3.5)

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
    assert last["head"].startswith("hung in open(), for 4 s (limit 4 s); unplug it and plug it in again")
    assert last["left_wrist"] == last["right_wrist"] == ""


def test_devices_are_opened_in_processes_of_their_own(tmp_path: Path) -> None:
    """Librealsense keeps Python's lock while it opens a camera: no thread beside it would run."""
    for kind in ("realsense", "uvc", "file"):
        settings = load_settings(["--profile", "sim", "--cameras.head.kind", kind, "--cameras.head.device", "/nowhere"])
        assert isinstance(make_camera("head", settings, tmp_path), CameraProcess)
