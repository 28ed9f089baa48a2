"""The console's WebSockets: moments, pictures, commands; each of its own, so that no picture ever delays a command.
Called by app.py.

A viewer asks for each moment and each picture (a credit), so a slow one gets fewer and newer ones, and nothing piles up.
"""

import asyncio
import json
import struct
import uuid
from contextlib import suppress

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from runtime.console import requests
from runtime.console.operator_session import OperatorSession
from runtime.console.source import Source
from runtime.errors import SessionError
from runtime.host.clock import NS_PER_S, robot_time_ns

_HEADER = struct.Struct("<qqq")  # number, capture time, time of sending
_POLL_S = 0.01  # between two looks for a newer picture; chosen: a third of what lies between two frames
_LARGEST_CREDIT = 200  # bytes; chosen: some 20 are needed
_MOST_A_SECOND = 200  # requests on one operator's socket; chosen: a page sends 20, and one for each press of a key
# No socket compresses: JPEG does not shrink, and each would hold a quarter of a megabyte for it.


async def moments(request: web.Request, source: Source, ticks: "Ticks") -> web.WebSocketResponse:
    """Send a moment for each credit: {"at_ns": null} for the next new one, or a time of a session."""
    socket = web.WebSocketResponse(max_msg_size=_LARGEST_CREDIT, heartbeat=20, compress=False)
    await socket.prepare(request)
    seen = -1
    async for message in socket:
        at_ns = _credit(message)
        if source.live:
            seen = await ticks.after(seen)
        try:
            await socket.send_str(await source.moment(at_ns))
        except SessionError:  # it cannot be read any more; the page opens another socket
            break
    return socket


async def pictures(request: web.Request, source: Source, camera: str) -> web.WebSocketResponse:
    """Send a picture for each credit, newer than the last one of a live run."""
    socket = web.WebSocketResponse(max_msg_size=_LARGEST_CREDIT, heartbeat=20, compress=False)
    await socket.prepare(request)
    last = 0
    async for message in socket:
        at_ns = _credit(message)
        try:
            found = await source.picture(camera, at_ns)
        except SessionError:
            break
        while source.live and (found is None or found.number == last) and not socket.closed:
            await asyncio.sleep(_POLL_S)
            found = await source.picture(camera, None)
        if found is None:
            await socket.send_bytes(_HEADER.pack(0, 0, robot_time_ns()))
            continue
        last = found.number
        await socket.send_bytes(_HEADER.pack(found.number, found.capture_ns, robot_time_ns()) + found.jpeg)
    return socket


async def operator_socket(request: web.Request, operator: OperatorSession) -> web.WebSocketResponse:
    """What one page wants. Every refusal is answered, and every hold: the page sends it again until it hears that."""
    socket = web.WebSocketResponse(max_msg_size=requests.LARGEST_BYTES, heartbeat=5, compress=False)
    await socket.prepare(request)
    who = uuid.uuid4().hex
    telling: set[asyncio.Task[None]] = set()  # the loop itself holds tasks only weakly

    def changed() -> None:
        task = asyncio.create_task(_tell(socket, operator, who))
        telling.add(task)
        task.add_done_callback(telling.discard)

    leaving = operator.listen(changed)
    second, heard = 0, 0
    try:
        await _tell(socket, operator, who)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            second, heard = (
                (second, heard + 1) if robot_time_ns() // NS_PER_S == second else (robot_time_ns() // NS_PER_S, 1)
            )
            if heard > _MOST_A_SECOND:  # nobody's flood delays another's hold
                await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too many requests a second")
                break
            holds = operator.holds
            refused = operator.hear(who, message.data, robot_time_ns())
            if refused:
                await socket.send_json({"type": "refused", "why": refused})
            elif operator.holds > holds:
                await socket.send_json({"type": "held"})
    finally:
        leaving()
        operator.leave(who)
    return socket


async def _tell(socket: web.WebSocketResponse, operator: OperatorSession, who: str) -> None:
    with suppress(ConnectionError):  # the page may be going
        if not socket.closed:
            await socket.send_json({"type": "lease", **operator.describe(who)})


def _credit(message: WSMessage) -> int | None:
    """The time that is asked for; anything that is not understood asks for the newest."""
    try:
        at_ns = json.loads(message.data)["at_ns"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return at_ns if type(at_ns) is int else None


class Ticks:
    """Lets many wait for the next update of the live run."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = asyncio.Event()

    def tick(self) -> None:
        """Wake all who wait: the live run has been updated."""
        self._count += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def after(self, seen: int) -> int:
        """Wait until there is something newer than tick `seen`. Returns the newest."""
        while self._count <= seen:
            await self._changed.wait()
        return self._count
