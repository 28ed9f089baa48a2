"""The judge of the cameras: frozen by stamp, by number, by bytes; late; slow; and the text that names it.

Frames are made by hand; time is a number.
"""

import pytest
from frames_by_hand import PERIOD_NS, START_NS, frame, healthy

from drivers.camera import CameraFrame
from runtime.devices import camera_monitor
from runtime.devices.camera_monitor import SLOW_REMEDY, CameraMonitor, behind, verdict
from runtime.host.clock import seconds
from runtime.messaging import messages

LATE_S = 0.1


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
    late = behind(monitors, 0.05)
    assert late == {"head": "frames arrive 70 ms later than another camera's (limit 50 ms)"}
    state = verdict("head", monitors["head"], LATE_S, START_NS + 3 * PERIOD_NS, late["head"])
    assert state.verdict == late["head"]


def test_a_picture_that_is_late_once_is_no_skewed_camera() -> None:
    monitors = {
        "head": delivered(0.01, 0.2, 0.2),
        "left_wrist": delivered(0.01, 0.01, 0.01),
        "right_wrist": delivered(),
    }
    assert behind(monitors, 0.05) == {}


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
    skewed, lost = "frames arrive 60 ms later than another camera's (limit 50 ms)", "frames cannot be forwarded (full)"

    def kind(verdict: str) -> str:
        return camera_monitor.kind(
            messages.CameraState(camera="head", number=1, capture_ns=1, rate_hz=30.0, verdict=verdict)
        )

    assert kind(old) == kind(older)
    assert len({kind(verdict) for verdict in (old, skewed, lost, "no frame yet", "")}) == 5
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
    assert (judged(monitor, 0.0) == "sends 15.0 frames/s (limit 18.0); " + SLOW_REMEDY) is said
    monitor.simulated = True
    assert judged(monitor, 0.0) == "", "what a slow machine draws is reported otherwise"


def test_pictures_that_cannot_be_decoded_are_said_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    monitor = monitored(healthy())
    for count in range(100):
        monitor.note_damaged("head", count)
    said = [record.getMessage() for record in caplog.records]
    assert [int(line.split()[1]) for line in said] == [1, 2, 4, 8, 16, 32, 64]
    assert said[0] == "head: 1 frames could not be decoded since it was opened; use another cable or USB port"
