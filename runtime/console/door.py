"""Who gets a connection to the page before anybody knows who it is: half a request costs little, and keeps nobody out.
Used by app.py.

A connection that asks nothing is closed soon, or at once where others want its place. Some places are kept for HOLD, so that
neither a crowd of viewers nor a flood of half requests takes the last one.
"""

import asyncio
import ipaddress
import resource
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

HEADER_S = 5.0  # until a request's header has come whole; chosen: two round trips over the worst link, and room
_RESERVED_FOR = ("/operator", "/hold")
_END_OF_HEADER = b"\r\n\r\n"
_LARGEST_HEADER = 1 << 15  # chosen: more than aiohttp takes (8190 bytes a line), so that it is the one to refuse
_AGAIN_S = 0.1  # until the next try where the system has no descriptor left; chosen
_SHARED_BITS = 64  # of an IPv6 address: one customer's network (RFC 6177)


@dataclass(frozen=True)
class Places:
    """How many connections there may be: in all, from one address, and beside those for HOLD alone.

    Chosen: a page needs a dozen, so twenty pages, eight of them behind one address; but never more than a quarter of what the
    process may open.
    """

    most: int = min(256, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
    most_from_one: int = min(96, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8)
    reserved: int = 8


class Door:
    """Accepts connections for a server. `places`, `header_s`: how many, and how long one may take to ask."""

    def __init__(self, places: Places | None = None, header_s: float = HEADER_S) -> None:
        self._places, self.header_s = places or Places(), header_s
        self._visits: dict[_Visit, None] = {}  # oldest first
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(
        self, listening: socket.socket, make: Callable[[], asyncio.Protocol], encryption: ssl.SSLContext | None
    ) -> None:
        """Accept until cancelled; `make` gives the server's protocol for a connection."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError:  # no descriptor is left
                self._make_room(None)
                await asyncio.sleep(_AGAIN_S)
                continue
            visit = self._admit(connection, _network(address[0]), make)
            if visit is not None:
                task = loop.create_task(self._greet(visit, connection, encryption))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def refuses(self, protocol: object, path: str) -> bool:
        """Whether a request came by a place that is kept for HOLD, and is none."""
        return path not in _RESERVED_FOR and any(visit.reserved for visit in self._visits if visit.protocol is protocol)

    def forget(self, visit: "_Visit") -> None:
        """A visit has ended."""
        self._visits.pop(visit, None)

    def _admit(self, connection: socket.socket, network: str, make: Callable[[], asyncio.Protocol]) -> "_Visit | None":
        full, own = self._is_full(0)[0], self._is_full(0, network)[1]
        if (full or own) and self._make_room(network if own else None):
            full = own = False
        if (full or own) and any(self._is_full(self._places.reserved, network)):
            connection.close()
            return None
        visit = _Visit(self, network, make(), reserved=full or own)
        self._visits[visit] = None
        return visit

    def _is_full(self, extra: int, network: str = "") -> tuple[bool, bool]:
        """Whether all places are taken, and those of one network, where there are `extra` ones."""
        own = sum(visit.network == network for visit in self._visits)
        return len(self._visits) >= self._places.most + extra, own >= self._places.most_from_one + extra

    def _make_room(self, network: str | None) -> bool:
        """Close the oldest connection (of a network) that has not asked anything yet. Returns whether there was one."""
        waiting = (visit for visit in self._visits if not visit.asked and network in (None, visit.network))
        oldest = next(waiting, None)
        if oldest is None:
            return False
        oldest.drop()
        return True

    async def _greet(self, visit: "_Visit", connection: socket.socket, encryption: ssl.SSLContext | None) -> None:
        limit_s = None if encryption is None else self.header_s
        visit.greeting = asyncio.current_task()
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: visit, connection, ssl=encryption, ssl_handshake_timeout=limit_s
            )
        except (OSError, asyncio.CancelledError):  # it speaks no TLS, is slow, or had to make room
            connection.close()
            self.forget(visit)
        finally:
            visit.greeting = None


class _Visit(asyncio.Protocol):
    """One connection: hands everything on to the server's `protocol`, and knows whether it has asked anything."""

    def __init__(self, door: Door, network: str, protocol: asyncio.Protocol, reserved: bool) -> None:
        self._door, self.network, self.protocol, self.reserved = door, network, protocol, reserved
        self.asked = False
        self.greeting: asyncio.Task[None] | None = None
        self._header = b""
        self._transport: asyncio.Transport | None = None

    def drop(self) -> None:
        """Close it now, without a word."""
        self._door.forget(self)
        if self._transport is not None:
            self._transport.abort()
        elif self.greeting is not None:
            self.greeting.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._late = asyncio.get_running_loop().call_later(self._door.header_s, self.drop)
        self.protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self.asked:
            self._header += data
            if _END_OF_HEADER in self._header or len(self._header) > _LARGEST_HEADER:
                self.asked, self._header = True, b""
                self._late.cancel()
        self.protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self.protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._late.cancel()
        self._door.forget(self)
        self.protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        self.protocol.resume_writing()


def _network(address: str) -> str:
    """What counts as one visitor's address."""
    found = ipaddress.ip_address(address.partition("%")[0])
    return address if found.version == 4 else str(ipaddress.ip_network((found, _SHARED_BITS), strict=False))
