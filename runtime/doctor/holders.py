"""Who else holds the robot: ROS nodes, programs with a camera open, other runs of this program."""

import os
from pathlib import Path

from runtime.doctor.row import Row

PROCESSES = Path("/proc")
_ROS = (
    "roscore",
    "rosmaster",
    "roslaunch",
    "rosout",
    "piper_ctrl",
    "realsense2_camera",
    "astra_camera",
    "orbbec_camera",
)
_DEVICES = ("/dev/video", "/dev/bus/usb/")


def look() -> list[Row]:
    """One row for each kind of holder."""
    ros, devices = dict[int, str](), dict[int, str]()
    for place in PROCESSES.glob("[0-9]*"):
        pid = int(place.name)
        if pid == os.getpid():
            continue
        command = _command(place)
        if any(Path(word).name.startswith(_ROS) for word in command.split()[:3]):
            ros[pid] = command
        if held := _held(place):
            devices[pid] = f"{command or pid} holds {held}"
    return [
        _row("ROS nodes", ros, "end them before the robot starts: rosnode kill --all, or kill"),
        _row("open cameras", devices, "end the program, or kill"),
    ]


def _row(name: str, found: dict[int, str], remedy: str) -> Row:
    if not found:
        return Row(name, "pass", "none")
    texts = "; ".join(f"{text[:60]} (process {pid})" for pid, text in sorted(found.items()))
    return Row(name, "fail", texts, f"{remedy} {' '.join(map(str, sorted(found)))}")


def _command(place: Path) -> str:
    try:
        return (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:  # it has just ended, or is not ours to see
        return ""


def _held(place: Path) -> str:
    try:
        targets = [str(entry.readlink()) for entry in (place / "fd").iterdir()]
    except OSError:
        return ""
    return ", ".join(sorted({target for target in targets if target.startswith(_DEVICES)}))
