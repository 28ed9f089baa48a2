"""One camera's thread: its frames into the ring and a notice on the bus; a camera that is lost or silent is opened again.
Started by the cameras process (cameras.py).
"""

from collections.abc import Iterator

from drivers.camera import Camera, CameraFrame
from drivers.errors import DriverError
from drivers.frame_rate import Decimator
from runtime.config.policy import policy_needs
from runtime.devices.camera_monitor import CameraMonitor
from runtime.devices.ring_room import ring_slots
from runtime.host.clock import robot_time_ns, seconds
from runtime.messaging import messages
from runtime.messaging.frame_ring import FrameRing
from runtime.process.base import Process, log

READ_TIMEOUT_S = 0.5  # longest wait for a picture; chosen: the thread ends within it when the process does
_SILENT_S = 5.0  # then it is opened again; chosen: the arms have held long before, and opening a camera takes seconds
_AGAIN_S = 1.0  # between two tries; chosen: a plug that is pushed back in is found at once for a person


def stream(process: Process, camera: Camera, monitor: CameraMonitor) -> None:
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
        frame = camera.read(READ_TIMEOUT_S)
        if frame is not None:
            heard_ns = robot_time_ns()
            monitor.arrived.append(frame.capture_ns)
            monitor.note_damaged(camera.name, camera.damaged)
            if monitor.simulated or decimator.takes(frame.capture_ns):
                yield frame
