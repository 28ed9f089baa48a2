"""The cameras process: one thread a camera puts frames into the ring and a notice on the bus; the main thread judges them.
Started by the supervisor (runtime/process/base.py); the doctor opens cameras by it too.
"""

import sys
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from drivers.camera import Camera, CameraFrame
from drivers.camera_process import OPEN_S, CameraProcess
from drivers.errors import DriverError
from drivers.frame_rate import REFUSED_SHARE, Decimator, measured_hz
from models.requirements import Requirements
from runtime.config.policy import policy_needs
from runtime.config.settings import Settings
from runtime.host.clock import NS_PER_S, Rate, robot_time_ns, seconds
from runtime.host.figures import without_figures
from runtime.host.overload import Stall
from runtime.messaging import messages
from runtime.messaging.frame_ring import FrameRing
from runtime.policy.fit import span_s
from runtime.process.base import Process, log

HEALTH_HZ = 30  # as runtime/messaging/topics.py says of the topic
_CHECKS = 3  # between two reports; a verdict that changes is told at once
RING_EXTRA_S = 1.0  # beyond the longest window; chosen: what a slow System 2 may still be reading is not overwritten
_RATE_FRAMES = 30  # over which a camera's rate is measured; chosen: one second at 30 Hz
_DELAY_FRAMES = 3  # the quickest of them counts: a picture that comes late once is no skewed camera
_READ_TIMEOUT_S = 0.5  # longest wait for a picture; chosen: the thread ends within it when the process does
_OPEN_POLL_S = 0.02  # chosen: as short as the wait for one picture
_TOGETHER_S = 3.0
"""How long cameras wait for each other before they are judged. Chosen: most open within it; one that hangs blinds no other."""
_SILENT_S = 5.0  # then it is opened again; chosen: the arms have held long before, and opening a camera takes seconds
_AGAIN_S = 1.0  # between two tries; chosen: a plug that is pushed back in is found at once for a person
_AHEAD_NS = (
    50_000_000  # by so much a device's clock may be misjudged; chosen: more than a period, less than a set may differ
)
SLOW_REMEDY = "light the scene, or use a USB 3 port of its own, without a hub"
_SWITCH_S = 0.0005  # between the camera threads: at Python's 5 ms one picture waits for another's bookkeeping

CameraFactory = Callable[[str, Settings, Path], Camera]


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
        text = _opening((now_ns - monitor.opening_ns) / NS_PER_S)
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


def _opening(since_s: float) -> str:
    """Of a camera that is being opened; its driver's own limit, where it has one, ends the waiting."""
    if since_s <= OPEN_S:
        return f"opening, for {since_s:.0f} s (limit {OPEN_S:.0f} s)"
    return f"hung in open(), for {since_s:.0f} s (limit {OPEN_S:.0f} s); unplug it and plug it in again"


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


def make_camera(name: str, settings: Settings, folder: Path) -> Camera:
    """The driver that the settings ask for; only that one is loaded."""
    camera = settings.cameras.by_name()[name]
    size = (camera.width_px, camera.height_px, camera.rate_hz)
    match camera.kind:
        case "simulated":
            from drivers.sim.camera import SimulatedCamera
            from drivers.sim.faulty_camera import CameraFaults, FaultyCamera
            from drivers.sim.tasks import shifted_task
            from runtime.process.fault_injection import FaultFile

            task = shifted_task(settings.task, settings.shift, settings.seed)
            made = SimulatedCamera(name, task, folder, *size, settings.seed)
            file, faults = FaultFile(folder, CameraFaults, (name,)), {name: CameraFaults()}

            def switched() -> CameraFaults:
                faults.update(file.changed() or {})
                return faults[name]

            return FaultyCamera(made, switched)
        case "realsense" | "uvc" | "file":
            return CameraProcess(camera.kind, name, camera.device, *size)


def ring_slots(needs: Requirements, rate_hz: float) -> int:
    """Frames that a ring holds: the policy's longest window or history and a second more."""
    spans_s = [span_s(needs, window, rate_hz) for window in range(len(needs.windows))]
    longest_s = max([*spans_s, needs.history_s[0]])
    return int((longest_s + RING_EXTRA_S) * rate_hz) + 1


def main(process: Process, factory: CameraFactory = make_camera) -> None:
    """Start a thread for each camera, then judge them 90 times a second until asked to end."""
    settings = process.settings
    sys.setswitchinterval(_SWITCH_S)
    monitors: dict[str, CameraMonitor] = {}
    threads: list[threading.Thread] = []
    for name in settings.cameras.by_name():
        camera = factory(name, settings, process.folder)
        simulated = settings.cameras.by_name()[name].kind == "simulated"
        monitors[name] = CameraMonitor(camera.rate_hz, camera.noisy, robot_time_ns(), simulated)
        threads.append(threading.Thread(target=_stream, args=(process, camera, monitors[name]), name=name, daemon=True))
    health = process.publisher("camera_health")
    for thread in threads:
        thread.start()
    _wait_until_open(process, monitors)
    rate, checks, count = Rate(_CHECKS * HEALTH_HZ), 0, 0
    reported, stall = "", Stall()
    said: dict[str, str] = {}
    process.settle()
    while process.running:
        now_ns = robot_time_ns()
        skewed = behind(monitors, settings.cameras.max_lag_s)
        states = tuple(
            verdict(name, monitor, settings.cameras.max_frame_age_s, now_ns, skewed.get(name, ""))
            for name, monitor in monitors.items()
        )
        kinds = ";".join(kind(state) for state in states)
        if checks % _CHECKS == 0 or kinds != reported:
            health.send(messages.CameraHealth(seq=count, epoch=process.epoch, stamp_ns=now_ns, cameras=states))
            _report(process, states, said, stall)
            reported = kinds
            count += 1
        checks += 1
        process.stepped()
        due_ns = rate.wait()
        stall.note(robot_time_ns() - due_ns, robot_time_ns())
    for thread in threads:
        thread.join(timeout=2 * _READ_TIMEOUT_S)


def _wait_until_open(process: Process, monitors: dict[str, CameraMonitor]) -> None:
    """Wait until all cameras are open or have failed: before there is nothing to judge. One that hangs is not waited for."""
    until_ns = robot_time_ns() + seconds(_TOGETHER_S)
    while process.running and robot_time_ns() < until_ns:
        if all(monitor.opened or monitor.fault for monitor in monitors.values()):
            return
        process.pause(_OPEN_POLL_S)


def kind(state: messages.CameraState) -> str:
    """A verdict without its figures, to see whether another thing is wrong now; empty: well."""
    return without_figures(state.verdict)


def _report(process: Process, states: tuple[messages.CameraState, ...], said: dict[str, str], stall: Stall) -> None:
    """Report a fault when a camera turns bad that has been well before."""
    for state in states:
        current = kind(state)
        if current and said.get(state.camera) == "":
            remedy = "" if "; " in state.verdict else "; check its cable and USB port"
            text = f"{state.camera}: {state.verdict}{remedy}"
            process.fault("camera", stall.blamed(text, robot_time_ns()))
        if current == "" or state.camera in said:
            said[state.camera] = current


def _stream(process: Process, camera: Camera, monitor: CameraMonitor) -> None:
    """One camera's thread. Whatever ends it is told as the camera's fault, since nobody else would notice."""
    try:
        _pass_on(process, camera, monitor)
    except Exception as error:  # noqa: BLE001 - the thread's edge
        log.exception("camera %s", camera.name)
        monitor.fault = f"frames cannot be forwarded ({' '.join(str(error).split()[:40])})"


def _pass_on(process: Process, camera: Camera, monitor: CameraMonitor) -> None:
    """Write a camera's frames into its ring and send their notices; a camera that is lost or silent is opened again."""
    name = camera.name
    path = process.folder / f"{name}.ring"
    slots = ring_slots(policy_needs(process.settings), camera.rate_hz)
    ring = FrameRing.create(path, camera.width_px, camera.height_px, slots)
    notices = process.publisher(f"frame.{name}")
    number, previous = ring.newest, None
    for frame in frames(process, camera, monitor):
        if not monitor.in_order(frame):
            continue
        number += 1
        ring.write(number, frame.capture_ns, frame.pixels, frame.jpeg)
        notices.send(
            messages.Frame.model_construct(  # our own values: no need to check them before the readers do
                seq=number,
                epoch=process.epoch,
                stamp_ns=robot_time_ns(),
                camera=name,
                capture_ns=frame.capture_ns,
                returned_ns=frame.returned_ns,
                device_number=frame.number,
                exact=frame.exact,
            )
        )
        monitor.saw(number, frame, previous, robot_time_ns())
        previous = frame


def frames(process: Process, camera: Camera, monitor: CameraMonitor) -> Iterator[CameraFrame]:
    """What a camera gives until the process ends; what is wrong meanwhile stands in `monitor.fault`.

    A camera that is lost or silent is closed and opened again, once a second.
    """
    while process.running:
        try:
            monitor.opening_ns = robot_time_ns()
            camera.open()
            monitor.opened, monitor.fault, monitor.opening_ns = True, "", 0
            yield from _until_silent(process, camera, monitor)
            camera.close()
        except DriverError as error:
            _lost(camera, monitor, str(error))
        except Exception as error:  # noqa: BLE001 - the thread's edge: whatever a library raises, the camera is opened again
            log.exception("camera %s", camera.name)
            _lost(camera, monitor, f"{type(error).__name__}: {' '.join(str(error).split()[:20])}")
        monitor.opened = False
        if process.running:
            process.pause(_AGAIN_S)


def _lost(camera: Camera, monitor: CameraMonitor, why: str) -> None:
    """Note why, and close the camera as far as it still can be."""
    monitor.fault, monitor.opening_ns = why, 0
    if monitor.opened:
        try:
            camera.close()
        except Exception:  # noqa: BLE001 - what is gone cannot always be closed
            log.exception("camera %s cannot be closed", camera.name)


def _until_silent(process: Process, camera: Camera, monitor: CameraMonitor) -> Iterator[CameraFrame]:
    """A camera's frames while it gives any; of a device that is quicker than was asked for those that are due."""
    heard_ns, decimator = robot_time_ns(), Decimator(camera.rate_hz)
    monitor.arrived.clear()
    monitor.damaged = 0
    while process.running and robot_time_ns() - heard_ns < seconds(_SILENT_S):
        frame = camera.read(_READ_TIMEOUT_S)
        if frame is not None:
            heard_ns = robot_time_ns()
            monitor.arrived.append(frame.capture_ns)
            monitor.note_damaged(camera.name, camera.damaged)
            if monitor.simulated or decimator.takes(frame.capture_ns):
                yield frame
