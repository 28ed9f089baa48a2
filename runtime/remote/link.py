"""The encrypted connection between the robot and a GPU box. The robot waits, the box comes.
Opened by robot_side.py and gpu_side.py.

Only the box whose key the robot knows gets an answer. Queues are short, and what a slow line cannot carry is dropped: old
pictures are worth nothing.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

import zmq
from zmq.auth.thread import ThreadAuthenticator

from runtime.errors import RuntimeFault
from runtime.remote.keys import BOX, ROBOT, load
from runtime.remote.packets import HELLO

_QUEUE = 64  # packets that may wait; chosen: a second of pictures of two cameras
_SHAKE_MS = 5000
"""Longest opening of a connection; ZeroMQ's own is 30 s, for which a link that fell silent meanwhile would stay unused. Chosen:
four round trips over a satellite."""
_ALIVE_MS, _GONE_MS = 200, 1000  # between two heartbeats, and without one until the line counts as cut; chosen
Packet = tuple[bytes, ...]


class Link:
    """One end, as a context manager. `peer`: the box that the robot answers, once one came. `dropped`: packets."""

    def __init__(self, socket: "zmq.Socket[bytes]", context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        self.socket, self._context = socket, context
        self._guard: ThreadAuthenticator | None = None
        self._routed = socket.type == zmq.ROUTER
        self.peer: bytes | None = None
        self.dropped = 0

    @classmethod
    def waiting(cls, address: str, keys: Path) -> Self:
        """The robot's end, bound to an address.

        Raises:
            RuntimeFault: The address cannot be used.
            SettingsError: The keys cannot be read.
        """
        own = load(keys, ROBOT, BOX)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        made = cls(_socket(context, zmq.ROUTER, address), context)
        made._guard = guard = ThreadAuthenticator(context)
        guard.start()
        guard.configure_curve_callback(credentials_provider=_Only(own.other))
        made.socket.curve_publickey, made.socket.curve_secretkey = own.public, own.secret
        made.socket.curve_server = True
        made.socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        made.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # tells when a queue is full
        try:
            made.socket.bind(address)
        except zmq.ZMQError as error:
            made.close()
            raise RuntimeFault(
                f"--system2.remote {address}: cannot be opened ({error.strerror}); give another port, or 0.0.0.0, or [::]"
            ) from None
        return made

    @classmethod
    def coming(cls, address: str, keys: Path) -> Self:
        """The box's end; it connects by itself, again and again. Raises SettingsError where the keys cannot be read."""
        own = load(keys, BOX, ROBOT)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        made = cls(_socket(context, zmq.DEALER, address), context)
        made.socket.curve_publickey, made.socket.curve_secretkey = own.public, own.secret
        made.socket.curve_serverkey = own.other
        made.socket.setsockopt(zmq.ROUTING_ID, BOX.encode())  # the same after the line was cut
        made.socket.connect(address)
        return made

    def send(self, *packet: bytes) -> None:
        """Send without waiting: dropped, and counted, when the line is full; not sent while nobody is there."""
        if self._routed and self.peer is None:
            return
        try:
            whole = (self.peer, *packet) if self._routed and self.peer is not None else packet
            self.socket.send_multipart(whole, zmq.NOBLOCK)
        except zmq.Again:
            self.dropped += 1
        except zmq.ZMQError:  # it went away; under the same name it comes back
            return

    def take(self) -> list[Packet]:
        """All packets that have come, in order; the robot takes those of its newest peer alone."""
        packets: list[Packet] = []
        while True:
            try:
                parts = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return packets
            if self._routed:
                if parts[1:2] == [HELLO]:
                    self.peer = parts[0]
                if parts[0] != self.peer:
                    continue  # somebody who was here before
                parts = parts[1:]
            packets.append(tuple(parts))

    def close(self) -> None:
        """Close the socket, with 0.1 s for what is queued, and stop checking keys."""
        self.socket.close(linger=100)
        if self._guard is not None:
            self._guard.stop()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Only:
    """The robot's list of allowed keys, which has one entry."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether a key may come in. Called by ZeroMQ's authenticator, in its thread."""
        return key == self._key


def _socket(context: "zmq.Context[zmq.Socket[bytes]]", kind: int, address: str) -> "zmq.Socket[bytes]":
    made = context.socket(kind)
    made.setsockopt(zmq.IPV6, int("[" in address))  # for all would look names up otherwise
    made.set_hwm(_QUEUE)
    for option, value in (
        (zmq.LINGER, 100), (zmq.HEARTBEAT_IVL, _ALIVE_MS), (zmq.HEARTBEAT_TIMEOUT, _GONE_MS),
        (zmq.HEARTBEAT_TTL, _GONE_MS), (zmq.RECONNECT_IVL, 100), (zmq.RECONNECT_IVL_MAX, 1000), (zmq.IMMEDIATE, 1),
        (zmq.HANDSHAKE_IVL, _SHAKE_MS),
    ):  # fmt: skip
        made.setsockopt(option, value)
    return made
