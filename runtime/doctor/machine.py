"""The computer: room for sessions, shared memory, real-time permission, clock, graphics processor, the policy.
Called by command.py for every robot.
"""

import ctypes
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np

from runtime.config.output_paths import check_folder
from runtime.config.settings import Camera, Settings
from runtime.devices import ring_room
from runtime.doctor.bounded import Check, in_turn
from runtime.doctor.table import Row
from runtime.errors import RuntimeFault, SettingsError
from runtime.host import overload, realtime
from runtime.host.clock import Rate, robot_time_ns
from runtime.host.overload import Processors
from runtime.host.processors import usable_processors
from runtime.host.run_folder import MEMORY_FOLDER
from runtime.process.role import POLICY, Role

_BYTES_OF_PIXEL, _SIMULATED_BYTES_OF_PIXEL = 0.108, 0.204
"""Measured of logged JPEGs: 33 kB of 640x480, 10 kB of 256x192."""
_BESIDE_BYTES_S = 0.1e6  # all but the pictures, compressed: 200 readings and targets a second, chunks, conditions
_TIMER_HZ, _TIMER_TICKS = 200, 200  # as the arms tick; one second of it
_MOST_BUSY_PERCENT, _MOST_STOLEN_PERCENT, _FEWEST_CORES = 50.0, 5.0, 2
"""Chosen: the simulated robot takes about one of two cores, and stolen time comes as stalls, which no average shows."""
_LEAST_FREE_BYTES, _ENOUGH_HOURS = 2e9, 2.0  # chosen: twice the recorder's reserve; an afternoon's sessions
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_NVIDIA_S = 10.0  # longest wait for nvidia-smi; chosen: its first call loads the driver


def check(settings: Settings, role: Role = POLICY) -> list[Row]:
    """All rows about the computer that the run's role needs."""
    checks = [
        Check("processors", lambda: [processors(Processors(), _timer_late_ms())]),
        Check("disk", lambda: [disk(settings)], "give a folder on a disk that answers with --sessions"),
        Check("shared memory", lambda: [shared_memory(MEMORY_FOLDER, settings)]),
        Check("real time", lambda: [real_time(settings)]),
        Check("clock", lambda: [clock()]),
    ]
    if role.by_policy and not role.recording:
        checks.append(
            Check("GPU", lambda: [graphics(settings)], "run nvidia-smi; if it hangs too, restart the computer")
        )
        checks.append(Check("policy", lambda: [policy(settings)], "give a folder on a disk that answers"))
    if not role.recording:  # nothing is sent to the arms while demonstrations are recorded
        checks.append(Check("mount", lambda: [mount(settings)]))
    return in_turn(*checks)


def mount(settings: Settings) -> Row:
    """Whether the arms' places were measured: the safety layer computes distances from them."""
    reported = settings.safety.mount
    if settings.arms.kind == "simulated":
        return Row("mount", "pass", "the simulated robot's")
    if not reported.measured:
        remedy = "measure it (deploy/first-hour.md, step 2), then set safety.mount with measured = true in the profile"
        return Row("mount", "fail", "the arms' place over the table is not measured", remedy)
    apart_m = float(np.hypot(*np.subtract(reported.left[:2], reported.right[:2])))
    return Row(
        "mount",
        "pass",
        f"bases {apart_m:.3f} m apart, {1e3 * (reported.left[2] - reported.table_m):.0f} mm above the table",
    )


def processors(measured: Processors, late_ms: float) -> Row:
    """Whether there is processor time left for a robot.

    Args:
        measured: Counts since it was made.
        late_ms: How late a 5 ms timer came meanwhile, 99th percentile.
    """
    pressure = measured.check()
    found = f"{pressure}; a {1e3 / _TIMER_HZ:.0f} ms timer is {late_ms:.1f} ms late (p99, limit {overload.LATE_TICK_MS:.0f} ms)"
    if pressure.stolen_percent > _MOST_STOLEN_PERCENT:
        return Row("processors", "warning", found, "dedicate CPU cores to this virtual machine")
    if pressure.busy_percent > _MOST_BUSY_PERCENT or late_ms > overload.LATE_TICK_MS:
        return Row("processors", "warning", found, "end other programs (see top), or feedback comes late")
    if pressure.cores < _FEWEST_CORES:
        return Row("processors", "warning", found, f"use a machine of at least {_FEWEST_CORES} cores")
    return Row("processors", "pass", found)


def _timer_late_ms() -> float:
    """How late a timer like the arms' comes without their priority, ms, 99th percentile. Takes a second."""
    rate, late_ns = Rate(_TIMER_HZ), list[int]()
    for _ in range(_TIMER_TICKS):
        due_ns = rate.wait()
        late_ns.append(robot_time_ns() - due_ns)
    return float(np.percentile(late_ns, 99)) / 1e6


def disk(settings: Settings) -> Row:
    """Whether sessions can be written, and for how many hours there is room."""
    sessions = settings.sessions
    try:
        check_folder(sessions, "--sessions")
    except SettingsError as error:
        found, _, remedy = str(error).partition("; ")
        return Row("disk", "fail", found, remedy)
    folder = next(path for path in (sessions.absolute(), *sessions.absolute().parents) if path.exists())
    free = shutil.disk_usage(folder).free
    bytes_s = _BESIDE_BYTES_S + sum(map(_picture_bytes_s, settings.cameras.by_name().values()))
    hours = free / bytes_s / 3600
    found = f"{free / 2**30:.1f} GiB free in {folder}, {hours:.1f} hours of sessions"
    remedy = "move old sessions away, or give another folder with --sessions"
    if free < _LEAST_FREE_BYTES:
        return Row("disk", "fail", found, remedy)
    return Row("disk", "pass" if hours > _ENOUGH_HOURS else "warning", found, remedy)


def _picture_bytes_s(camera: Camera) -> float:
    """What a camera's pictures add to a session in a second."""
    of_pixel = _SIMULATED_BYTES_OF_PIXEL if camera.kind == "simulated" else _BYTES_OF_PIXEL
    return camera.rate_hz * camera.width_px * camera.height_px * of_pixel


def shared_memory(folder: Path, settings: Settings) -> Row:
    """Whether what a run shares fits twice where pictures and messages pass between the processes."""
    needed = 2 * _run_bytes(settings)
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Row("shared memory", "fail", f"{folder}: {error.strerror}", f"mount it: mount -t tmpfs tmpfs {folder}")
    found = f"{free / 2**30:.1f} GiB free in {folder}, a run needs {needed / 2**30:.1f} GiB"
    remedy = f"delete files there; start a container with --shm-size={max(2, math.ceil(needed / 2**30))}g"
    return Row("shared memory", "pass" if free > needed else "fail", found, remedy)


def _run_bytes(settings: Settings) -> float:
    try:
        return ring_room.frames_bytes(settings) + ring_room.BESIDE_BYTES
    except RuntimeFault:  # the row of the policy says so
        return ring_room.BESIDE_BYTES


def real_time(settings: Settings) -> Row:
    """Whether the arms' loop may run before everything else (SCHED_FIFO)."""
    if not settings.arms.realtime:
        return Row("real time", "warning", "off (--no-arms.realtime)", "leave out --no-arms.realtime")
    if realtime.allowed(realtime.ARMS_PRIORITY):
        return Row("real time", "pass", f"SCHED_FIFO {realtime.ARMS_PRIORITY} is permitted")
    return Row(
        "real time",
        "warning",
        "no permission for SCHED_FIFO: ticks may come late",
        "install deploy/realtime-limits.conf and log in again",
    )


def clock() -> Row:
    """Whether the wall clock is synchronised. It stamps sessions' names; nothing that moves depends on it."""
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(1024))
    if state in (-1, _TIME_ERROR):
        found = "not synchronised; only session names depend on it"
        return Row("clock", "warning", found, "run timedatectl set-ntp true")
    return Row("clock", "pass", "synchronised")


def graphics(settings: Settings) -> Row:
    """Which GPUs there are, and whether the settings or the policy's size need one."""
    wanted = {"--system1.device": settings.system1.device, "--system2.device": settings.system2.device}
    found = _graphics_processors()
    if found:
        return Row("GPU", "pass", "; ".join(found))
    if asking := " and ".join(flag for flag, device in wanted.items() if device.startswith("cuda")):
        remedy = f"check the driver with nvidia-smi, or give cpu as {asking}"
        return Row("GPU", "fail", f"none found, but {asking} asks for one", remedy)
    small = settings.policy.size == "small"
    return Row(
        "GPU",
        "pass" if small else "warning",
        f"none found: the {settings.policy.size} policy runs on {usable_processors()} processor cores",
        "a full policy needs a GPU; run System 2 on a GPU box with ./launch/system2.sh",
    )


def _graphics_processors() -> list[str]:
    command = ["nvidia-smi", "--query-gpu=name,memory.free", "--format=csv,noheader"]
    try:
        reported = subprocess.run(command, capture_output=True, text=True, timeout=_NVIDIA_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [f"{line.strip()} free" for line in reported.stdout.splitlines() if line.strip()]


def policy(settings: Settings) -> Row:
    """Which policy leads the arms: a folder that holds a checkpoint; random weights pass in simulation alone, with a
    warning.
    """
    if settings.policy.server:
        return _server(settings)
    checkpoint = settings.policy.checkpoint
    if checkpoint is not None and (checkpoint / "config.json").is_file():
        return Row("policy", "pass", str(checkpoint))
    if checkpoint is not None:
        return Row(
            "policy", "fail", f"checkpoint {checkpoint} does not exist", "give a folder that ./launch/train.sh wrote"
        )
    simulated = settings.arms.kind == "simulated"
    found = f"no checkpoint: random weights of size {settings.policy.size}"
    return Row("policy", "warning" if simulated else "fail", found, "give a trained one with --policy.checkpoint")


def _server(settings: Settings) -> Row:
    """Whether the policy's server answers, and says enough; it is asked for its metadata alone."""
    from runtime.policy.server_door import asked  # a check of a policy that runs here does without

    try:
        wire = asked(settings).policy.wire
    except RuntimeFault as error:
        return Row("policy", "fail", str(error), "start it as its project says, or give --policy.checkpoint")
    targets = "chunks of any length" if wire.targets is None else f"chunks of {wire.targets} targets"
    return Row("policy", "pass", f"remote policy {settings.policy.server}: {targets}, {wire.dt_s:.3g} s apart")
