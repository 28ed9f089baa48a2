"""The cameras: each opened by its own driver, at its place, with its size and rate.
Called by command.py.
"""

import time
from pathlib import Path

from drivers.errors import DriverError
from drivers.frame_rate import LEAST_SHARE, MOST_SHARE, REFUSED_SHARE
from runtime.config.settings import Camera, Settings
from runtime.devices.camera_monitor import SLOW_REMEDY
from runtime.devices.cameras import make_camera
from runtime.doctor.bounded import Check, at_once
from runtime.doctor.table import Row

_POLL_S = 1.5  # pictures are counted for so long; chosen: 45 at 30 Hz
_LIMIT_S = (
    40.0  # for all of it; chosen: longer than a driver may take to load, open and close (drivers/camera_process.py)
)
_BY_NUMBER = "/dev/video"
_SLOW_LINK = "2"  # of a RealSense: raw pictures of three cameras' size need more than USB 2 carries


def check(settings: Settings) -> list[Row]:
    """Open all cameras at once, as they will run, and count their pictures."""
    checks = [
        Check(f"camera {name}", lambda name=name: [_check(name, settings)], "unplug it and plug it in again")
        for name in settings.cameras.by_name()
    ]
    return at_once(checks, _LIMIT_S)


def _check(name: str, settings: Settings) -> Row:
    wanted = settings.cameras.by_name()[name]
    row = f"camera {name}"
    if wanted.kind == "simulated":
        return Row(row, "pass", "simulated")
    camera = make_camera(name, settings, Path())
    stamps: list[int] = []
    try:
        camera.open()
        deadline = time.monotonic() + _POLL_S
        while (left_s := deadline - time.monotonic()) > 0:
            if frame := camera.read(left_s):
                stamps.append(frame.capture_ns)
        camera.close()
    except DriverError as error:
        found, _, remedy = str(error).rpartition("; ")
        return Row(
            row, "fail", found or remedy, remedy if found else "check its cable, and that it is the right camera"
        )
    if len(stamps) < 2 or stamps[-1] <= stamps[0]:
        return Row(row, "fail", f"{wanted.kind} {wanted.device}: no frames", "unplug it and plug it in again")
    judged = _judged(row, wanted, camera.usb, (len(stamps) - 1) / ((stamps[-1] - stamps[0]) / 1e9))
    if camera.damaged and judged.verdict == "pass":
        found = f"{judged.found}, and {camera.damaged} damaged"
        return Row(row, "warning", found, "use another cable, or a USB port of its own, without a hub")
    return judged


def _judged(row: str, wanted: Camera, usb: str, rate_hz: float) -> Row:
    """A camera that gives pictures, at a measured rate; `usb`: the version of its link, where it is told."""
    link = f" by USB {usb}" if usb else ""
    found = f"{wanted.kind} {wanted.device or 'the only one'}{link}: {rate_hz:.1f} of {wanted.rate_hz:.0f} frames/s"
    if rate_hz < REFUSED_SHARE * wanted.rate_hz:
        return Row(row, "fail", f"{found} (limit {REFUSED_SHARE * wanted.rate_hz:.1f})", SLOW_REMEDY)
    if wanted.kind == "realsense" and usb.startswith(_SLOW_LINK):
        return Row(row, "warning", found, "plug it into a USB 3 port with a USB 3 cable")
    if wanted.kind == "uvc" and wanted.device.startswith(_BY_NUMBER):
        remedy = "give its path /dev/v4l/by-path/...: numbers change with the order of plugging in"
        return Row(row, "warning", f"{found}; left and right wrist may be swapped", remedy)
    if rate_hz < LEAST_SHARE * wanted.rate_hz:
        return Row(row, "warning", found, SLOW_REMEDY)
    if rate_hz > MOST_SHARE * wanted.rate_hz:
        name = row.removeprefix("camera ")
        remedy = f"choose its rate with v4l2-ctl, or set --cameras.{name}.rate_hz {rate_hz:.0f}"
        return Row(row, "warning", f"{found}: it ignores the rate asked for; surplus frames are dropped", remedy)
    return Row(row, "pass", found)
