"""A CAN bus opened through piper_sdk, for an arm or for a leader; and the state of the kernel's interface.

Used by drivers/piper.py, drivers/piper_leader.py and the doctor.
"""

import importlib
import itertools
import json
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import can

from drivers.bounded import BoundedCalls
from drivers.errors import DriverError
from drivers.piper_frames import JOINT_COMMAND_IDS, JOINT_IDS, Id
from drivers.piper_traffic import Traffic
from drivers.sending_bus import SendingBus

NETWORK = Path("/sys/class/net")
UNREAD_IDS = {Id.END_POSE, Id.END_POSE + 1, Id.END_POSE + 2}
"""Frames of the end pose, a fifth of all, which nobody needs: the SDK's parser takes 55 us a frame."""
_STREAMED_IDS = frozenset(
    (
        Id.STATUS, *JOINT_IDS, Id.GRIPPER, *range(Id.FAST, Id.FAST + 6), *range(Id.SLOW, Id.SLOW + 6),
        *JOINT_COMMAND_IDS, Id.GRIPPER_COMMAND,
    )
)  # fmt: skip
"""Frames that an arm or a leader sends again and again. The SDK is given one only when it differs from the last of its id: it
would set the same values again."""
Heard = Callable[[can.Message], None]
_numbers = itertools.count()
_CALL_S = 5.0  # within which python-can opens or closes a bus; chosen: it takes milliseconds
REPLUG = "unplug its USB-CAN adapter and plug it in again"
_LENGTH = 8  # bytes of every frame of a Piper, by its protocol
_READ_S = 0.02  # how long the reading thread waits for a frame, and so how long `close` may take; chosen: not noticed


class PiperBus:
    """One bus and one SDK object (C_PiperInterface_V2), for good: the SDK keeps every object that was ever made.

    The SDK's own threads are never started: its DisconnectPort does not end them. This bus's reading thread calls `heard` with
    every feedback frame after the SDK has parsed it, and `not_feedback` with why a frame is none.
    """

    def __init__(
        self, who: str, channel: str, interface: str, heard: Heard, not_feedback: Callable[[str], None]
    ) -> None:
        self._who, self._channel, self._interface = who, channel, interface
        self._heard, self._not_feedback = heard, not_feedback
        self._sdk: Any = None
        self._sending: SendingBus | None = None
        self._reading: threading.Thread | None = None
        self._ends = threading.Event()
        self._bounded = BoundedCalls(_CALL_S)
        self._parsed: dict[int, bytearray] = {}  # data of the newest frame by id, since the bus was opened
        self.traffic = Traffic()
        """What has come since the bus was opened."""
        self.ended_by = ""
        """The error that ended the reading thread; empty while it reads."""

    @property
    def sdk(self) -> Any:
        """The vendor's object. It knows what was heard last, also on earlier connections."""
        return self._sdk

    @property
    def unsent(self) -> int:
        """Frames that could not be sent since the bus was opened."""
        return 0 if self._sending is None else self._sending.unsent

    @property
    def send_error(self) -> str:
        """Why the newest of those frames could not be sent; empty: there is none."""
        return "" if self._sending is None else self._sending.error

    @property
    def is_open(self) -> bool:
        """Whether it was opened and not closed since."""
        return self._reading is not None

    def open(self) -> None:
        """Open the bus and read it from now on, without what came before. Raises DriverError that begins with `who`."""
        importlib.import_module(
            "piper_sdk"
        )  # no call into a device: it may take as long as the machine takes to load it
        self.close()
        if self._reading is not None:
            raise DriverError(f"{self._who}: reading the CAN bus hung (no answer within {_CALL_S:.0f} s); {REPLUG}")
        self._bounded(self._open, f"{self._who}: opening the CAN bus", REPLUG)
        ends = self._sdk.GetCanBus()
        if ends is None or ends.recv_bus is None:
            raise DriverError(f"{self._who}: the CAN bus cannot be opened; run ./launch/doctor.sh")
        self._sending = ends.send_bus = SendingBus(ends.send_bus)
        self.ended_by, self._parsed, self.traffic = "", {}, Traffic()
        self._ends = threading.Event()
        self._reading = threading.Thread(
            target=self._read, args=(ends.recv_bus, self._ends), name=f"{self._who} reading", daemon=True
        )
        self._reading.start()

    def _open(self) -> None:
        """Open both ends by the SDK; without them where there is no such bus."""
        from piper_sdk import C_PiperInterface_V2, LogLevel

        if self._sdk is None:  # by a name of its own: the SDK shares an object among those of one name
            name = f"{self._who} {next(_numbers)}"
            self._sdk = C_PiperInterface_V2(name, judge_flag=False, can_auto_init=False, logger_level=LogLevel.SILENT)
        ends = self._sdk.GetCanBus()
        try:
            if ends is None:
                self._sdk.CreateCanBus(self._channel, bustype=self._interface, judge_flag=False)
                ends = self._sdk.GetCanBus()
            else:
                _shut(ends)  # open where the opening came to an end after its caller had given up
                ends.Init()
        except (ConnectionError, OSError, can.CanError):
            ends = self._sdk.GetCanBus()
            _shut(ends)
        if self._interface == "virtual" and ends is not None and ends.recv_bus is not None:
            ends.send_bus.shutdown()  # nobody would ever read what comes to the sending end
            ends.send_bus = ends.recv_bus

    def close(self) -> None:
        """Let go of the bus, once the reading thread has ended; does nothing where it is not open.

        Where the library hangs it is left behind after some seconds; the next `open` says so.
        """
        if self._reading is None:
            return
        self._ends.set()
        self._reading.join(_CALL_S)
        if self._reading.is_alive():  # it uses the bus: `open` says so, until it has ended
            return
        self._reading = None
        with suppress(DriverError):  # what hangs is told by the next `open`
            self._bounded(lambda: _shut(self._sdk.GetCanBus()), f"{self._who}: closing the CAN bus", REPLUG)

    def _read(self, bus: can.BusABC, ends: threading.Event) -> None:
        try:
            while not ends.is_set():
                message = bus.recv(_READ_S)
                if message is not None and not ends.is_set():
                    self._take(message)
        except Exception as error:  # noqa: BLE001  the thread's edge: whoever waits for readings tells why none come
            self.ended_by = f"{type(error).__name__}: {error}"

    def _take(self, message: can.Message) -> None:
        if why := not_a_frame(message):
            self.traffic.note_none(why)
            self._not_feedback(why)
            return
        number, data = message.arbitration_id, message.data
        self.traffic.note(number)
        if number in UNREAD_IDS:
            return
        if number not in _STREAMED_IDS or self._parsed.get(number) != data:
            self._sdk.ParseCANFrame(message)
            self._parsed[number] = data
        self._heard(message)


def not_a_frame(message: can.Message) -> str:
    """Why no Piper can have sent this: it sends data frames of 8 bytes with standard ids. Empty: it can."""
    if message.is_error_frame:
        return "an error frame"
    if message.is_extended_id:
        return f"an extended frame 0x{message.arbitration_id:08x}"
    if message.is_remote_frame:
        return f"a remote frame 0x{message.arbitration_id:03x}"
    if message.dlc != _LENGTH or len(message.data) != _LENGTH:
        return f"frame 0x{message.arbitration_id:03x} with {message.dlc} bytes, expected {_LENGTH}"
    return ""


def _shut(ends: Any) -> None:
    """Close both ends of the SDK's bus, also where only one was opened."""
    for name in ("recv_bus", "send_bus"):
        if (end := getattr(ends, name, None)) is not None:
            end.shutdown()
            setattr(ends, name, None)


@dataclass(frozen=True)
class Link:
    """A CAN interface as the kernel reports it: `state` as in `ip -details link show`, bit/s; empty and 0 where not known."""

    state: str = ""
    bitrate: int = 0


def read_link(interface: str) -> Link:
    """Ask the kernel for an interface, by `ip`, in some milliseconds. Raises nothing: what is not known stays empty."""
    command = ["ip", "-json", "-details", "link", "show", interface]
    try:
        reported = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout)
        data = reported[0]["linkinfo"]["info_data"]
        return Link(str(data.get("state", "")), int(data.get("bittiming", {}).get("bitrate", 0)))
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, AttributeError):
        return Link()


def elsewhere(interface: str, usb: str) -> str:
    """Why an interface is not on the adapter at the USB place `usb`; empty: it is, or `usb` is empty and any will do."""
    place = (NETWORK / interface / "device").resolve()
    if not usb or usb in str(place) or not place.exists():  # one that is not there is nowhere else either
        return ""
    return f"{interface} is at USB {place.name}, expected {usb}: left and right may be swapped"


def why_off(link: Link) -> str:
    """Why an interface in that state carries nothing, and the remedy; empty where it does."""
    if link.state == "BUS-OFF":
        return "bus-off after too many CAN errors; check its cable and terminating resistor, then set the interface down and up"
    if link.state == "STOPPED":
        return "the CAN interface is down; set it up"
    return ""
