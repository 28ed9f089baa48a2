"""A CAN bus opened through piper_sdk, for an arm or for a master that leads one; and how the kernel's interface is."""

import itertools
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import can

from drivers.errors import DriverError

NETWORK = Path("/sys/class/net")
_numbers = itertools.count()


def open_bus(who: str, channel: str, interface: str, heard: Callable[[can.Message], None]) -> Any:
    """An SDK (C_PiperInterface_V2) whose bus is open; `heard` gets every frame once its `ConnectPort` was called.

    Its name is new each time: the SDK keeps one instance a name for ever. Raises DriverError that begins with `who`.
    """
    from piper_sdk import C_PiperInterface_V2

    shut = DriverError(f"{who}: the bus cannot be opened; is it up? See ./launch/doctor.sh")
    sdk: Any = C_PiperInterface_V2(f"{who} {next(_numbers)}", judge_flag=False, can_auto_init=False)
    try:
        sdk.CreateCanBus(channel, bustype=interface, judge_flag=False)
    except ConnectionError:
        raise shut from None
    bus = sdk.GetCanBus()
    if bus.recv_bus is None:
        raise shut
    bus.callback_function = heard
    return sdk


@dataclass(frozen=True)
class Link:
    """A CAN interface as the kernel tells of it; the state as in `ip -details link show`, empty and 0 where it is not known."""

    state: str = ""
    bitrate: int = 0


def look_at_link(interface: str) -> Link:
    """Ask the kernel; takes some milliseconds."""
    command = ["ip", "-json", "-details", "link", "show", interface]
    try:
        told = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout)
        data = told[0]["linkinfo"]["info_data"]
        return Link(str(data.get("state", "")), int(data.get("bittiming", {}).get("bitrate", 0)))
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, AttributeError):
        return Link()


def elsewhere(interface: str, usb: str) -> str:
    """Why an interface is not on the adapter at the USB place `usb` (empty: any may be). Empty: it is."""
    place = (NETWORK / interface / "device").resolve()
    if not usb or usb in str(place) or not place.exists():  # one that is not there is nowhere else either
        return ""
    return f"{interface} is at USB {place.name}, not at {usb}: left and right may be exchanged"


def why_off(link: Link) -> str:
    """Why an interface in that state carries nothing, and the remedy; empty where it does."""
    if link.state == "BUS-OFF":
        return "the bus is off after too many errors; check its cable and terminating resistor, then set it down and up"
    if link.state == "STOPPED":
        return "the interface is down; set it up"
    return ""
