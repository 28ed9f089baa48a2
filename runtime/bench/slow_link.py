"""A link that is long, loses segments, falls silent or is cut: a TCP proxy on this machine.
Used by console_links.py, by the tests of the page, and by the command `faults`.

What TCP makes of such a link is modelled: each way takes half a round trip, opening a connection one more, and a lost segment
comes a retransmission later, with all that follows behind it. How much fits onto the link is not limited.
"""

import asyncio
import random
import threading
from contextlib import suppress

_SEGMENT_BYTES = 1448  # what a segment carries over Ethernet (1500 bytes, headers of 52)
_READ_BYTES = 1 << 16  # at once; chosen: more than a picture
_TIMEOUT_S = 0.2  # of a retransmission, above a round trip (Linux: TCP_RTO_MIN)
_OPENING_TIMEOUT_S = 1.0  # of the first segment of a connection (RFC 6298, 2.1)
_MOST_RETRIES = 6  # chosen: with 10 % loss one segment of a million needs more


class SlowLink:
    """Listens at `port` while it is entered, and carries everything to `target_port` and back."""

    def __init__(self, target_port: int, round_trip_s: float = 0.0, loss: float = 0.0, seed: int = 0) -> None:
        self._target_port, self._round_trip_s, self._loss = target_port, round_trip_s, loss
        self._random = random.Random(seed)
        self._silent = self._cut = False
        self._open: set[_Connection] = set()
        self.opened = 0  # connections so far
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="slow link")

    def __enter__(self) -> "SlowLink":
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self.ends.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self.ends = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        self._ready.set()
        await self.ends.wait()
        server.close()

    def silence(self) -> None:
        """From now on nothing comes through, and nobody is told: a cable that was pulled somewhere on the way."""
        self._loop.call_soon_threadsafe(self._fall_silent)

    def cut(self) -> None:
        """End all connections, and refuse new ones: the other machine's port is closed."""
        self._loop.call_soon_threadsafe(self._end_all)

    def lengthen(self, round_trip_s: float) -> None:
        """Let everything take so long from now on, there and back."""
        self._round_trip_s = round_trip_s

    def restore(self) -> None:
        """New connections go through again. Those from before stay dead: TCP tries a dead one again a minute later."""
        self._silent = self._cut = False

    def lost_s(self, opening: bool = False) -> float:
        """How much later than others a segment comes, because it, or what was sent in its place, was lost."""
        timeout_s = _OPENING_TIMEOUT_S if opening else self._round_trip_s + _TIMEOUT_S
        late_s = 0.0
        for _ in range(_MOST_RETRIES):
            if self._random.random() >= self._loss:
                break
            late_s += timeout_s
        return late_s

    @property
    def one_way_s(self) -> float:
        """What a segment takes that is not lost."""
        return self._round_trip_s / 2

    def _fall_silent(self) -> None:
        self._silent = True
        for connection in self._open:
            connection.dead = True

    def _end_all(self) -> None:
        self._cut = True
        for connection in self._open:
            connection.ends.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        self.opened += 1
        connection = _Connection(self, dead=self._silent)
        self._open.add(connection)
        try:
            with suppress(asyncio.CancelledError, OSError):  # the end of all; or nobody listens there
                await connection.carry(reader, writer, self._target_port)
        finally:
            self._open.discard(connection)
            writer.close()


class _Connection:
    """One connection and its two ways. A `dead` one swallows what comes, as long as anybody believes in it."""

    def __init__(self, link: SlowLink, dead: bool) -> None:
        self._link, self.dead = link, dead
        self.ends = asyncio.Event()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        """Open the other side and carry both ways until one of them ends."""
        if self.dead:
            await self._swallow(reader, writer)
            return
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        opening_s = 2 * self._link.one_way_s + self._link.lost_s(opening=True)
        ways = [
            asyncio.create_task(self._way(reader, there_writer, opening_s)),
            asyncio.create_task(self._way(there_reader, writer, 0.0)),
            asyncio.create_task(self._until_it_ends()),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            there_writer.close()

    async def _until_it_ends(self) -> None:
        await self.ends.wait()

    async def _swallow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while await reader.read(_READ_BYTES):
                pass

    async def _way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, opening_s: float) -> None:
        """Read at once, write when it has arrived."""
        arriving: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        writing = asyncio.create_task(self._write(arriving, writer))
        loop, last_s = asyncio.get_running_loop(), asyncio.get_running_loop().time() + opening_s
        try:
            while data := await reader.read(_READ_BYTES):
                for start in range(0, len(data), _SEGMENT_BYTES):
                    last_s = max(last_s, loop.time() + self._link.one_way_s + self._link.lost_s())
                    arriving.put_nowait((last_s, data[start : start + _SEGMENT_BYTES]))
            arriving.put_nowait((max(last_s, loop.time() + self._link.one_way_s), b""))
            await writing
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _write(self, arriving: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            at_s, data = await arriving.get()
            await asyncio.sleep(max(0.0, at_s - loop.time()))
            if self.dead:
                if not data:
                    await self._link.ends.wait()  # its end does not arrive, either
                continue
            if not data or writer.is_closing():
                return
            writer.write(data)
            await writer.drain()
