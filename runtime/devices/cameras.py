"""The cameras process: one thread a camera puts frames into the ring and a notice on the bus; the main thread judges them.
Started by the supervisor (runtime/process/base.py); the doctor opens cameras by it too.
"""

import sys
import threading
from collections.abc import Callable
from pathlib import Path

from drivers.camera import Camera
from drivers.camera_process import CameraProcess
from runtime.config import what_to_check
from runtime.config.settings import Settings
from runtime.devices.camera_monitor import CameraMonitor, behind, kind, verdict
from runtime.devices.camera_stream import READ_TIMEOUT_S, stream
from runtime.host.clock import Rate, robot_time_ns, seconds
from runtime.host.overload import Stall
from runtime.messaging import messages
from runtime.process.base import Process

HEALTH_HZ = 30  # as runtime/messaging/topics.py says of the topic
_CHECKS = 3  # between two reports; a verdict that changes is told at once
_OPEN_POLL_S = 0.02  # chosen: as short as the wait for one picture
_TOGETHER_S = 3.0
"""How long cameras wait for each other before they are judged. Chosen: most open within it; one that hangs blinds no other."""
_SWITCH_S = 0.0005  # between the camera threads: at Python's 5 ms one picture waits for another's bookkeeping

CameraFactory = Callable[[str, Settings, Path], Camera]


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
        threads.append(threading.Thread(target=stream, args=(process, camera, monitors[name]), name=name, daemon=True))
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
        thread.join(timeout=2 * READ_TIMEOUT_S)


def _wait_until_open(process: Process, monitors: dict[str, CameraMonitor]) -> None:
    """Wait until all cameras are open or have failed: before there is nothing to judge. One that hangs is not waited for."""
    until_ns = robot_time_ns() + seconds(_TOGETHER_S)
    while process.running and robot_time_ns() < until_ns:
        if all(monitor.opened or monitor.fault for monitor in monitors.values()):
            return
        process.pause(_OPEN_POLL_S)


def _report(process: Process, states: tuple[messages.CameraState, ...], said: dict[str, str], stall: Stall) -> None:
    """Report a fault when a camera turns bad that has been well before."""
    for state in states:
        current = kind(state)
        if current and said.get(state.camera) == "":
            remedy = "" if "; " in state.verdict else f"; {what_to_check.of_camera(process.settings, state.camera)}"
            text = f"{state.camera}: {state.verdict}{remedy}"
            process.fault("camera", stall.blamed(text, robot_time_ns()))
        if current == "" or state.camera in said:
            said[state.camera] = current
