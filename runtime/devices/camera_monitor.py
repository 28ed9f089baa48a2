"""What is known of one camera while it runs, and the judgement: well, or what is wrong with it.
Written by the camera's thread (camera_stream.py), judged by the cameras process (cameras.py).
"""

import zlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.camera import CameraFrame
from drivers.camera_process import OPEN_S
from drivers.frame_rate import REFUSED_SHARE, measured_hz
from runtime.host.clock import NS_PER_S, seconds
from runtime.host.figures import without_figures
from runtime.messaging import messages
from runtime.process.base import log

_RATE_FRAMES = 30  # over which a camera's rate is measured; chosen: one second at 30 Hz
_DELAY_FRAMES = 3  # the quickest of them counts: a picture that comes late once is no skewed camera
_AHEAD_NS = 50_000_000
"""By so much a device's clock may be misjudged; chosen: more than a period, less than a set may differ."""
SLOW_REMEDY = "light the scene, or use a USB 3 port of its own, without a hub"


@dataclass
class CameraMonitor:
    """What the judge knows of one camera; written by its thread, read by the main thread."""

    rate_hz: float
    noisy: bool
    started_ns: int
    simulated: bool = False
    number: int = 0
    capture_ns: int = 0
    progress_ns: int = 0  # when the last truly new picture came
    checksum: int = 0
    damaged: int = 0  # when it was said last
    fault: str = ""
    opened: bool = False
    opening_ns: int = 0  # since when it is being opened; 0: it is not
    captures: deque[int] = field(default_factory=lambda: deque(maxlen=_RATE_FRAMES))
    arrived: deque[int] = field(
        default_factory=lambda: deque(maxlen=_RATE_FRAMES)
    )  # captures, also of what is left out
    delays_ns: deque[int] = field(default_factory=lambda: deque(maxlen=_DELAY_FRAMES))  # from exposure to here
    newest_ns: int = 0  # capture time of the newest frame that was in order
    misplaced: str = ""  # what is wrong with the last frame's capture time

    def in_order(self, frame: CameraFrame) -> bool:
        """Whether a frame was exposed no earlier than the one before, and before it was handed over. Who reads frames relies
        on that: they search them by time.
        """
        ahead_ns, back_ns = frame.capture_ns - frame.returned_ns, self.newest_ns - frame.capture_ns
        if ahead_ns > _AHEAD_NS:
            self.misplaced = f"its capture time is {ahead_ns / 1e6:.0f} ms ahead of the clock"
        elif back_ns > 0:
            self.misplaced = f"its capture time went back by {back_ns / 1e6:.0f} ms"
        else:
            self.newest_ns, self.misplaced = frame.capture_ns, ""
        return not self.misplaced

    def note_damaged(self, camera: str, count: int) -> None:
        """Log how many pictures could not be decoded since the camera was opened, each time that they have doubled."""
        if count >= max(1, 2 * self.damaged):
            self.damaged = count
            log.warning(
                "%s: %d frames could not be decoded since it was opened; use another cable or USB port", camera, count
            )

    def saw(self, number: int, frame: CameraFrame, previous: CameraFrame | None, now_ns: int) -> None:
        """Note a frame. One with the same stamp, number or (noisy cameras) bytes as the last does not count as new.

        Args:
            number: In the ring.
            frame: As the driver gave it.
            previous: The frame before; None for the first.
            now_ns: When it was in the ring.
        """
        checksum = zlib.crc32(frame.jpeg) if self.noisy else number
        frozen = previous is not None and (
            frame.capture_ns == previous.capture_ns or frame.number == previous.number or checksum == self.checksum
        )
        self.checksum = checksum
        if frozen:
            return
        self.number, self.capture_ns, self.progress_ns = number, frame.capture_ns, now_ns
        self.captures.append(frame.capture_ns)
        self.delays_ns.append(now_ns - frame.capture_ns)


def verdict(camera: str, monitor: CameraMonitor, late_s: float, now_ns: int, behind: str = "") -> messages.CameraState:
    """Judge one camera.

    Args:
        camera: Its name.
        monitor: What its thread noted.
        late_s: Age above which it counts as failed.
        now_ns: CLOCK_MONOTONIC.
        behind: What it lacks beside the others; said where nothing else is wrong.

    Returns:
        Its rate over the last 30 frames, and an empty verdict where it is well.
    """
    span_ns = monitor.captures[-1] - monitor.captures[0] if len(monitor.captures) > 1 else 0
    rate_hz = (len(monitor.captures) - 1) * NS_PER_S / span_ns if span_ns else 0.0
    text = monitor.fault
    if not text and monitor.opening_ns:
        text = _opening((now_ns - monitor.opening_ns) / NS_PER_S, monitor.simulated)
    elif not text and monitor.number == 0:
        text = "no frame yet"
    elif not text and now_ns - monitor.progress_ns > seconds(late_s):
        text = f"no new frame for {(now_ns - monitor.progress_ns) / 1e6:.0f} ms (limit {late_s * 1e3:.0f} ms)"
        text += monitor.misplaced and f": {monitor.misplaced}"
    elif not text and now_ns - monitor.capture_ns > seconds(late_s) * 2:
        text = f"frames are {(now_ns - monitor.capture_ns) / 1e6:.0f} ms old (limit {late_s * 2e3:.0f} ms)"
    elif not text:
        text = _slow(monitor)
    text = text or behind
    return messages.CameraState(
        camera=camera, number=monitor.number, capture_ns=monitor.capture_ns, rate_hz=round(rate_hz, 2), verdict=text
    )


def _slow(monitor: CameraMonitor) -> str:
    """Of a camera that has long sent fewer pictures than it was asked for; simulated ones do so where the machine is slow."""
    arrived, least_hz = tuple(monitor.arrived), REFUSED_SHARE * monitor.rate_hz
    if monitor.simulated or len(arrived) < _RATE_FRAMES or (rate_hz := measured_hz(arrived)) >= least_hz:
        return ""
    return f"sends {rate_hz:.1f} frames/s (limit {least_hz:.1f}); {SLOW_REMEDY}"


def _opening(since_s: float, simulated: bool) -> str:
    """Of a camera that is being opened; its driver's own limit, where it has one, ends the waiting."""
    if since_s <= OPEN_S:
        return f"opening, for {since_s:.0f} s (limit {OPEN_S:.0f} s)"
    remedy = "check logs/cameras.log of the session" if simulated else "unplug it and plug it in again"
    return f"hung in open(), for {since_s:.0f} s (limit {OPEN_S:.0f} s); {remedy}"


def behind(monitors: Mapping[str, CameraMonitor], limit_s: float) -> dict[str, str]:
    """Which cameras' pictures come later after their exposure than another's, by more than `limit_s`.

    Returns:
        A text by camera, with value and limit.
    """
    delays_ns = {name: min(monitor.delays_ns, default=0) for name, monitor in monitors.items()}
    least_ns = min(delays_ns.values())
    limit = f"(limit {limit_s * 1e3:.0f} ms)"
    return {
        name: f"frames arrive {(delay_ns - least_ns) / 1e6:.0f} ms later than another camera's {limit}"
        for name, delay_ns in delays_ns.items()
        if delay_ns - least_ns > seconds(limit_s)
    }


def kind(state: messages.CameraState) -> str:
    """A verdict without its figures, to see whether another thing is wrong now; empty: well."""
    return without_figures(state.verdict)
