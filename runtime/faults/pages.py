"""Pages of the console as a browser would open them, in a thread of their own: slow viewers, an operator, half a request.
Used by page_rows.py.
"""

import asyncio
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, ClientWSTimeout

from drivers.cobot_magic import CAMERAS
from runtime.faults.live_robot import LiveRobot
from runtime.host.clock import robot_time_ns
from runtime.process.base import CONSOLE_FILE

_HEADER = struct.Struct("<qqq")  # of a picture: number, capture time, time of sending; as runtime/console/sockets.py
_BEAT_S = 0.05  # between two beats of a page, as the page does
_SLOW_S = 0.5  # between two pictures of a slow viewer; chosen
_CLOSE = ClientWSTimeout(ws_close=0.5)  # pyright: ignore[reportCallIssue]  # chosen: over a silent link nobody answers a farewell
_CREDIT = '{"at_ns": null}'


def address_of(robot: LiveRobot) -> str:
    """Where the run's page is served."""
    return (robot.folder / CONSOLE_FILE).read_text().strip()


class Pages:
    """An event loop in a thread; what is begun in it runs until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pages", daemon=True)
        self._thread.start()
        self.ages_ms: list[float] = []  # of pictures when they came

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let something run beside, which ends by being cancelled."""
        asyncio.run_coroutine_threadsafe(_quietly(work), self._loop)

    def run(self, work: Coroutine[Any, Any, Any], timeout_s: float) -> Any:
        """Wait for something. Raises TimeoutError."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def close(self) -> None:
        """Leave the console, by every page at once, and end the thread."""
        self.run(_cancelled(), 5.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def view(self, address: str, camera: str) -> None:
        """Look at a camera's pictures, slowly."""
        async with (
            ClientSession() as client,
            client.ws_connect(f"{address}pictures/{camera}", timeout=_CLOSE) as socket,
        ):
            while True:
                await socket.send_str(_CREDIT)
                picture = await socket.receive_bytes()
                _, capture_ns, _ = _HEADER.unpack(picture[: _HEADER.size])
                if capture_ns:
                    self.ages_ms.append((robot_time_ns() - capture_ns) / 1e6)
                await asyncio.sleep(_SLOW_S)

    async def drive(self, address: str) -> None:
        """Take the lease, ask for the deadman, and beat."""
        async with ClientSession() as client, client.ws_connect(f"{address}operator", timeout=_CLOSE) as socket:
            await socket.send_json({"type": "take", "name": "faults"})
            await socket.send_json({"type": "deadman", "wanted": True})
            while True:
                await socket.send_json({"type": "beat"})
                await asyncio.sleep(_BEAT_S)


async def _quietly(work: Coroutine[Any, Any, Any]) -> None:
    with suppress(ClientError, OSError, TypeError):  # the console was killed, or the way to it is cut
        await work


async def _cancelled() -> None:
    """End everything that runs in this loop but this."""
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def about(address: str) -> None:
    """Ask the console for something small."""
    async with ClientSession(timeout=ClientTimeout(5)) as client, client.get(f"{address}about") as answer:
        await answer.read()


def own_mb(pid: int) -> float:
    """A process's own memory, MB, without what it maps together with others."""
    return float(Path(f"/proc/{pid}/status").read_text().partition("RssAnon:")[2].split()[0]) / 1024


VIEWED = tuple(CAMERAS)
