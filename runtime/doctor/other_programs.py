"""Who else holds the robot: ROS nodes, programs with a camera open, programs that listen or speak on its CAN buses.
Called by command.py before it opens the buses itself.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from runtime.doctor.table import Row

PROCESSES = Path("/proc")
CAN_RECEIVERS = Path("/proc/net/can")  # the kernel's lists of open CAN sockets
USB_DEVICES = Path("/sys/bus/usb/devices")
_ROS = (
    "roscore",
    "rosmaster",
    "roslaunch",
    "rosout",
    "nodelet",
    "piper_",
    "realsense2_",
    "astra_camera",
    "orbbec_",
    "ob_camera",
)
_ROS_WORDS = ("__name:=", "--ros-args", "/opt/ros/")  # of every node's command line, or of what starts it
_CAMERA_MAKERS = ("8086", "2bc5")  # Intel, Orbbec
_CAN = "CAN"  # how the kernel names the protocols of its sockets
_ANY = "any"  # of a socket that hears all interfaces


def check(interfaces: Sequence[str]) -> list[Row]:
    """One row for each kind of holder. Call it before this program opens the buses itself."""
    ros, devices, sockets, unseen = dict[int, str](), dict[int, str](), dict[int, str](), 0
    cameras = _camera_devices()
    for place in PROCESSES.glob("[0-9]*"):
        pid = int(place.name)
        if pid == os.getpid():
            continue
        command = _command(place)
        if any(Path(word).name.startswith(_ROS) for word in command.split()[:3]) or any(
            w in command for w in _ROS_WORDS
        ):
            ros[pid] = command
        held = _held(place)
        unseen += held is None
        taken = [name for name in held or () if name.startswith("/dev/video") or name in cameras]
        if taken:
            devices[pid] = f"{command or pid} holds {', '.join(taken)}"
        if held and any(name.startswith(_CAN) for name in held):
            sockets[pid] = command
    return [
        _row("ROS nodes", ros, "end them with `rosnode kill --all` or"),
        _cameras(devices, unseen),
        _buses(interfaces, sockets),
    ]


def _cameras(devices: dict[int, str], unseen: int) -> Row:
    row = _row("open cameras", devices, "end it with")
    if devices or not unseen:
        return row
    who = "a process of another user" if unseen == 1 else f"{unseen} processes of other users"
    found = f"none visible, but {who} could not be inspected"
    return Row(row.name, "warning", found, "" if os.geteuid() == 0 else "run the doctor with sudo once")


def _buses(interfaces: Sequence[str], sockets: dict[int, str]) -> Row:
    """Another local program's commands are not seen on the bus by piper_sdk's sockets, so none may be open."""
    lists = [path.read_text() for path in CAN_RECEIVERS.glob("rcvlist_*")]
    words = {line.split()[0] for text in lists for line in text.splitlines() if line.startswith("  ")}
    held = sorted(interfaces) if _ANY in words else sorted(words & set(interfaces))
    if not held:
        return Row("CAN sockets", "pass", "none")
    found = f"another program has {', '.join(held)} open and could command the arms"
    if not sockets:
        return Row(
            "CAN sockets",
            "fail",
            found,
            "run the doctor with sudo once to see which, and end it (candump counts too)",
        )
    named = "; ".join(f"{command[:60]} (process {pid})" for pid, command in sorted(sockets.items()))
    return Row("CAN sockets", "fail", f"{found}: {named}", f"end it with `kill {' '.join(map(str, sorted(sockets)))}`")


def _camera_devices() -> set[str]:
    """The USB devices of the cameras' makers; whatever else holds a USB device (firmware updates, card readers) does no
    harm.
    """
    found: set[str] = set()
    for place in USB_DEVICES.glob("*/idVendor"):
        try:
            if place.read_text().strip() in _CAMERA_MAKERS:
                bus, device = (int((place.parent / name).read_text()) for name in ("busnum", "devnum"))
                found.add(f"/dev/bus/usb/{bus:03d}/{device:03d}")
        except (OSError, ValueError):  # it has just been unplugged
            continue
    return found


def _row(name: str, found: dict[int, str], remedy: str) -> Row:
    if not found:
        return Row(name, "pass", "none")
    texts = "; ".join(f"{text[:60]} (process {pid})" for pid, text in sorted(found.items()))
    return Row(name, "fail", texts, f"{remedy} `kill {' '.join(map(str, sorted(found)))}`")


def _command(place: Path) -> str:
    """A process's command line, words with spaces between; empty where it ended meanwhile or is not ours to see."""
    try:
        return (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:  # it has just ended, or is not ours to see
        return ""


def _held(place: Path) -> tuple[str, ...] | None:
    """The devices and CAN sockets that a process has open; None: it is not ours to see."""
    try:
        entries = list((place / "fd").iterdir())
        return tuple(sorted({name for entry in entries if (name := _opened(entry))}))
    except PermissionError:
        return None
    except OSError:  # it has just ended
        return ()


def _opened(entry: Path) -> str:
    """What a descriptor is of, where that matters here: a device's path, or a CAN socket's protocol."""
    target = str(entry.readlink())
    if target.startswith("socket:"):
        try:
            name = os.getxattr(entry, "system.sockprotoname").decode(errors="replace").strip("\0")
        except OSError:
            return ""
        return name if name.startswith(_CAN) else ""
    return target if target.startswith("/dev/") else ""
