"""The connection to a policy server, kept by a thread of its own: one question at a time, and again after it broke.
Used by remote_policy.py, whose thread asks and waits.

The protocol numbers nothing, so a reply belongs to the oldest question. One that comes too late is dropped, and nothing else is
asked before it came: it never passes for the reply to other pictures. A reply that nobody asked for ends the connection.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientWebSocketResponse, WSMsgType

from runtime.errors import WireError
from runtime.host.clock import NS_PER_S, robot_time_ns
from runtime.messaging import openpi
from runtime.policy.protocols import NoChunk, Refused
from runtime.policy.server_door import LARGEST_REPLY_BYTES, Door, Unreachable

log = logging.getLogger(__name__)
_BACK_OFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Before each further try, until a reply came. Chosen: a server that restarts is found within a second of being up."""
_END_S = 2.0  # for the thread to end; chosen: its socket closes within half a second
_FAREWELL_S = 0.1  # for TLS to close, which no library waits for; chosen
_LETTERS = 200  # of what a server says about a mistake


@dataclass
class _Question:
    packet: bytes
    asked_ns: int = field(default_factory=robot_time_ns)
    reply: "Future[Any]" = field(default_factory=Future)

    def settle(self, value: Any = None, error: NoChunk | None = None) -> None:
        """Give the reply, or why there is none, unless nobody waits for it any more."""
        if not self.reply.done() and self.reply.set_running_or_notify_cancel():
            if error is None:
                self.reply.set_result(value)
            else:
                self.reply.set_exception(error)


class ServerLink:
    """A connection that is there, or is being tried again; `close` ends it."""

    def __init__(self, door: Door, silent_s: float, check: Callable[[Any], str]) -> None:
        """`silent_s`: for how long a reply may be owed. `check` says what is wrong with a server's metadata; empty: nothing."""
        self._door, self._silent_ns, self._check = door, round(silent_s * NS_PER_S), check
        self._loop = asyncio.new_event_loop()
        self._socket: ClientWebSocketResponse | None = None
        self._question: _Question | None = None
        self._why, self._tries = "not connected yet", 0
        self._again, self._first, self._ended = asyncio.Event(), threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="policy server", daemon=True)
        self._thread.start()

    def wait(self, limit_s: float) -> None:
        """Wait until the server was reached, or could not be, for the first time since the link began or was renewed."""
        self._first.wait(limit_s)

    def ask(self, packet: bytes, limit_s: float) -> Any:
        """The reply to a packet, as it was unpacked. Raises NoChunk with one line; it waits `limit_s` at most."""
        question = _Question(packet)
        self._loop.call_soon_threadsafe(self._begin, question)
        try:
            return question.reply.result(limit_s)
        except TimeoutError:
            question.reply.cancel()
            raise NoChunk(f"no reply within {limit_s:g} s (--policy.wire.reply_s); a later one is dropped") from None

    def renew(self) -> None:
        """Begin a new connection: to a server that is a new episode."""
        self._first.clear()
        self._loop.call_soon_threadsafe(self._again.set)

    def close(self) -> None:
        """End the connection and the thread."""
        self._ended = True
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._again.set)
            self._thread.join(_END_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:  # which lets sockets close before the loop does
            runner.run(self._stay_connected())

    async def _stay_connected(self) -> None:
        async with self._door.session() as session:
            while not self._ended:
                self._again.clear()
                try:
                    socket, metadata = await self._door.opened(session)
                except Unreachable as error:
                    self._lost(str(error))
                else:
                    await self._used(socket, metadata)
                await self._pause()
        if self._door.encryption is not None:
            await asyncio.sleep(_FAREWELL_S)
        self._lost("the connection was ended")

    async def _used(self, socket: ClientWebSocketResponse, metadata: Any) -> None:
        """Exchange questions and replies until the connection ends or is to be renewed."""
        try:
            if wrong := self._check(metadata):
                self._lost(wrong)
                return
            log.info("connected to %s", self._door.address)
            self._socket, self._why = socket, ""
            self._first.set()
            replies, again = asyncio.ensure_future(self._hear(socket)), asyncio.ensure_future(self._again.wait())
            await asyncio.wait((replies, again), return_when=asyncio.FIRST_COMPLETED)
            why = replies.result() if replies.done() else "the connection is renewed"
            for task in (replies, again):
                task.cancel()
            await asyncio.gather(replies, again, return_exceptions=True)
            self._lost(why)
        finally:
            self._socket = None
            await socket.close()

    async def _hear(self, socket: ClientWebSocketResponse) -> str:
        """Give each reply to its question. Returns why no more will come."""
        while True:
            message = await socket.receive()
            question, self._question = self._question, None
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                self._question = question
                too_large = isinstance(message.data, Exception) and "exceeds limit" in str(message.data)
                return f"wrong reply: larger than {LARGEST_REPLY_BYTES} bytes" if too_large else "the connection ended"
            self._tries = 0
            if question is None:  # else it could be taken for the reply to the next one
                return "wrong reply: nothing was asked"
            if message.type is WSMsgType.TEXT:
                question.settle(error=Refused(f"refused: {_last_line(message.data)}"))
                continue
            try:
                question.settle(openpi.unpacked(message.data))
            except WireError as error:
                question.settle(error=NoChunk(f"wrong reply: {error}"))

    def _begin(self, question: _Question) -> None:
        """Send a question, or say why it cannot be asked. Runs in the thread of the connection."""
        owed, socket = self._question, self._socket
        if socket is None:
            question.settle(error=NoChunk(self._why))
        elif owed is None:
            self._question = question
            self._sending = self._loop.create_task(_send(socket, question.packet))
        elif question.asked_ns - owed.asked_ns > self._silent_ns:
            self._again.set()
            question.settle(error=NoChunk(f"silent for {self._silent_ns / NS_PER_S:g} s; connecting again"))
        else:
            question.settle(error=NoChunk("the reply to an earlier question has not come; it is waited for"))

    def _lost(self, why: str) -> None:
        """Note that there is no connection, and tell whoever waits."""
        if why != self._why and not self._again.is_set():
            log.warning("%s: %s", self._door.address, why)
        self._why, question, self._question = why, self._question, None
        if not self._again.is_set():
            self._first.set()
        if question is not None:
            question.settle(error=NoChunk(why))

    async def _pause(self) -> None:
        """Wait before the next try, longer each time; a link that ends or is renewed does not wait."""
        pause_s = _BACK_OFF_S[min(self._tries, len(_BACK_OFF_S) - 1)]
        self._tries += 1
        if not self._again.is_set():
            try:
                await asyncio.wait_for(self._again.wait(), pause_s)
            except TimeoutError:
                return


async def _send(socket: ClientWebSocketResponse, packet: bytes) -> None:
    try:
        await socket.send_bytes(packet)
    except (ClientError, OSError):  # whoever receives hears of it
        return


def _last_line(text: str) -> str:
    """The end of what a server says, which names the mistake: openpi's servers send whole tracebacks."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return ascii(lines[-1][:_LETTERS])[1:-1] if lines else "without a reason"
