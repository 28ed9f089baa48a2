"""A CAN bus between processes of one machine, for machines without one: python-can's interface `hub`, and the hub itself.

The hub belongs to whoever emulates the devices; every other process opens `can.Bus(channel=SOCKET, interface="hub")`, as
piper_sdk does. Frames pass in packets over Unix sockets, in order: what a device sends at once is one packet, since a packet
a frame costs a fifth of a processor for each bus (one wake-up of Python a frame, 3000 a second).
"""

import errno
import os
import select
import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import can

from drivers.piper_frames import Frame

INTERFACE = "hub"
_HELLO = struct.Struct("<q")  # whose frames this connection is not given: its own process', as with a real controller
_FRAME = struct.Struct("<IB3xd8s")  # id with its kind as in SocketCAN, length, when it was sent (s), data
EXTENDED, REMOTE, ERROR = 1 << 31, 1 << 30, 1 << 29
"""Marks of an id whose frame is no data frame with a standard id: SocketCAN's CAN_EFF_FLAG, CAN_RTR_FLAG and CAN_ERR_FLAG."""
_MOST = 64  # frames in a packet; chosen: more than a Piper sends at once (29)
_ID = ERROR - 1  # the 29 bits of an id, SocketCAN's CAN_EFF_MASK
_EVERYBODY = -1  # no process has this id: a connection that says it hears all others
_FRAME_S = 120e-6  # of 8 bytes at 1 Mbit/s: 111 bits and some stuffed ones (CAN 2.0, part A)
_GONE = "the emulated bus has closed"
_FULL = ".full"  # ends the name of a file beside the socket: while that is there, nobody can send


class HubBus(can.BusABC):
    """One participant's end; python-can makes it for the interface `hub`. `local_loopback`: hear this process's other ends."""

    def __init__(
        self, channel: str, can_filters: Any = None, local_loopback: bool = True, **others: Any
    ) -> None:  # python-can and piper_sdk pass what their own interfaces take
        del others
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._full = Path(channel + _FULL)
        try:
            self._socket.connect(channel)
            self._socket.send(_HELLO.pack(_EVERYBODY if local_loopback else os.getpid()))
        except OSError as error:
            self._socket.close()
            raise can.CanInitializationError(
                f"{channel}: cannot be opened ({error.strerror}); check that the emulator runs"
            ) from None
        self._received: deque[tuple[int, int, float, bytes]] = deque()
        self.channel_info = channel
        super().__init__(channel=channel, can_filters=can_filters)

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """Put a frame on the bus. Raises CanOperationError when the bus is gone, or takes nothing, as SocketCAN does then."""
        del timeout  # neither is waited for
        if self._full.exists():
            raise can.CanOperationError(f"Failed to transmit: {os.strerror(errno.ENOBUFS)}", errno.ENOBUFS)
        try:
            self._socket.send(_packet(_marked(msg), bytes(msg.data), time.time_ns() / 1e9))
        except OSError as error:
            raise can.CanOperationError(f"{_GONE}: {error.strerror}") from None

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        if not self._received:
            ready, _, _ = select.select([self._socket], [], [], timeout)
            if not ready:
                return None, False
            packet = self._socket.recv(_MOST * _FRAME.size)
            if not packet:
                raise can.CanOperationError(_GONE)
            self._received.extend(_FRAME.iter_unpack(packet))
        number, length, sent_s, data = self._received.popleft()
        message = can.Message(
            arbitration_id=number & _ID, data=data[:length], timestamp=sent_s, is_extended_id=bool(number & EXTENDED),
            is_remote_frame=bool(number & REMOTE), is_error_frame=bool(number & ERROR),
        )  # fmt: skip
        return message, False

    def shutdown(self) -> None:
        """Leave the bus; the others go on."""
        super().shutdown()
        self._socket.close()


class Hub:
    """The bus itself, without a thread: its owner calls `poll` again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dropped = 0  # frames that a participant was too slow for
        self.silent = False  # nobody hears anybody: a broken wire
        self.clock_s = 0.0  # how far the times of the device's frames are ahead
        self.sent_ns: list[int] = []
        """When the frames of the last `poll` were sent, CLOCK_MONOTONIC."""
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path.unlink(missing_ok=True)
        self._full_file, self._is_full = path.with_name(path.name + _FULL), False
        self._full_file.unlink(missing_ok=True)
        self._listening.bind(str(path))
        self._listening.listen()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._groups: dict[socket.socket, int | None] = {}  # None: has not said hello yet

    @property
    def full(self) -> bool:
        """Whether no participant can send, as where an adapter's queue is full (ENOBUFS); all go on hearing the device."""
        return self._is_full

    @full.setter
    def full(self, full: bool) -> None:
        self._is_full = full
        if full:
            self._full_file.touch()
        else:
            self._full_file.unlink(missing_ok=True)

    def poll(self, timeout_s: float) -> list[Frame]:
        """Wait for at most `timeout_s`, and pass what participants sent on to the others. Returns those frames, in order."""
        heard: list[Frame] = []
        self.sent_ns = []
        self._ahead_ns = time.time_ns() - time.monotonic_ns()  # of frames' own times, which are the wall clock's
        for key, _ in self._selector.select(max(0.0, timeout_s)):
            if key.fileobj is self._listening:
                participant, _ = self._listening.accept()
                participant.setblocking(False)
                self._groups[participant] = None
                self._selector.register(participant, selectors.EVENT_READ)
                continue
            assert isinstance(key.fileobj, socket.socket)
            heard += self._read(key.fileobj)
        return heard

    def send(self, frames: Sequence[Frame]) -> None:
        """Put frames of the hub's owner, the emulated device, on the bus; every participant hears them.

        They bear the times of a device that has just sent them one after the other, however long its emulator takes to do so:
        nothing keeps an arm's controller waiting in the middle of a set.
        """
        began_s = time.time_ns() / 1e9 + self.clock_s - len(frames) * _FRAME_S
        packed = [_packet(number, data, began_s + place * _FRAME_S) for place, (number, data) in enumerate(frames, 1)]
        for first in range(0, len(packed), _MOST):
            self._pass_on(b"".join(packed[first : first + _MOST]), None)

    def cut(self) -> None:
        """Throw every participant out, as an unplugged adapter does; they may come back."""
        for participant in list(self._groups):
            self._forget(participant)

    def close(self) -> None:
        """Throw everybody out and remove the socket's file."""
        self.cut()
        self._selector.close()
        self._listening.close()
        self.full = False
        self.path.unlink(missing_ok=True)

    def _read(self, participant: socket.socket) -> list[Frame]:
        heard: list[Frame] = []
        while participant in self._groups:
            try:
                packet = participant.recv(_FRAME.size)
            except BlockingIOError:
                break
            except ConnectionResetError:  # it left with unread frames; what it had sent before can still be read
                continue
            except OSError:
                packet = b""
            if not packet:
                self._forget(participant)
            elif self._groups[participant] is None:
                self._groups[participant] = _HELLO.unpack(packet)[0]
            elif not self.silent:
                number, length, sent_s, data = _FRAME.unpack(packet)
                heard.append((number, data[:length]))
                self.sent_ns.append(round(sent_s * 1e9) - self._ahead_ns)
                self._pass_on(packet, participant)
        return heard

    def _pass_on(self, packet: bytes, sender: socket.socket | None) -> None:
        if self.silent:
            return
        group = self._groups.get(sender) if sender is not None else None
        for participant, own in list(self._groups.items()):
            if participant is sender or own is None or (own == group and own != _EVERYBODY):
                continue
            try:
                participant.send(packet)
            except BlockingIOError:
                self.dropped += len(packet) // _FRAME.size
            except OSError:
                self._forget(participant)

    def _forget(self, participant: socket.socket) -> None:
        self._selector.unregister(participant)
        participant.close()
        del self._groups[participant]


def _marked(message: can.Message) -> int:
    marks = ((message.is_extended_id, EXTENDED), (message.is_remote_frame, REMOTE), (message.is_error_frame, ERROR))
    return message.arbitration_id | sum(mark for is_so, mark in marks if is_so)


def _packet(number: int, data: bytes, sent_s: float) -> bytes:
    return _FRAME.pack(number, len(data), sent_s, data.ljust(8, b"\0"))
