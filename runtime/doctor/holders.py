"""Who else holds the robot: ROS nodes, programs with a camera open, programs that listen or speak on its CAN buses."""

import os
from collections.abc import Sequence
from pathlib import Path

from runtime.doctor.row import Row

PROCESSES = Path("/proc")
CAN_RECEIVERS = Path("/proc/net/can")  # the kernel's lists of open CAN sockets
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


def look(interfaces: Sequence[str]) -> list[Row]:
    """One row for each kind of holder. Before this program opens the buses itself."""
    ros, devices, unseen = dict[int, str](), dict[int, str](), 0
    for place in PROCESSES.glob("[0-9]*"):
        pid = int(place.name)
        if pid == os.getpid():
            continue
        command = _command(place)
        if any(Path(word).name.startswith(_ROS) for word in command.split()[:3]):
            ros[pid] = command
        held = _held(place)
        unseen += held is None
        if held:
            devices[pid] = f"{command or pid} holds {held}"
    return [
        _row("ROS nodes", ros, "end them before the robot starts: rosnode kill --all, or kill"),
        _cameras(devices, unseen),
        _buses(interfaces),
    ]


def _cameras(devices: dict[int, str], unseen: int) -> Row:
    row = _row("open cameras", devices, "end the program, or kill")
    if devices or not unseen:
        return row
    found = f"none among what can be seen; {unseen} processes of other users cannot"
    return Row(row.name, "warning", found, "look once with sudo")


def _buses(interfaces: Sequence[str]) -> Row:
    """Another local program's commands are not seen on the bus by piper_sdk's sockets, so none may be open."""
    lists = [path.read_text() for path in CAN_RECEIVERS.glob("rcvlist_*")]
    words = {line.split()[0] for text in lists for line in text.splitlines() if line.startswith("  ")}
    held = sorted(words & set(interfaces))
    if not held:
        return Row("CAN sockets", "pass", "none")
    found = f"another program has {', '.join(held)} open; it could command the arms unseen"
    return Row("CAN sockets", "fail", found, "end it: sudo ss -f can -p, or ls -l /proc/*/fd; candump too")


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


def _held(place: Path) -> str | None:
    """The cameras that a process has open; None: it is not ours to see."""
    try:
        targets = [str(entry.readlink()) for entry in (place / "fd").iterdir()]
    except PermissionError:
        return None
    except OSError:  # it has just ended
        return ""
    return ", ".join(sorted({target for target in targets if target.startswith(_DEVICES)}))
