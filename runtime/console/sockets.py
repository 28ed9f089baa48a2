"""The console's WebSockets: moments, pictures, commands; each of its own, so that no picture ever delays a command.
Called by app.py.

A viewer asks for each moment and each picture (a credit), so a slow one gets fewer and newer ones, and nothing piles up.
"""

import asyncio
import json
import math
import re
import struct
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from runtime.console import requests
from runtime.console.operator_session import OperatorSession
from runtime.console.source import Source
from runtime.errors import SessionError
from runtime.host.clock import NS_PER_S, robot_time_ns

_HEADER = struct.Struct("<qqq")  # number, capture time, time of sending
_POLL_S = 0.01  # between two looks for a newer picture; chosen: a third of what lies between two frames
_NOTHING_NEW_NS = 400_000_000
"""After so long without a picture that is told: a page takes silence of 1 s for a dead connection. Chosen: less than half."""
_PAGE_NAME = "[0-9a-f]{32}"
_LARGEST_CREDIT = 200  # bytes; chosen: some 20 are needed
_MOST_A_SECOND = (
    200  # requests on one operator's socket; chosen: a page sends 20, all at once after a stall of some seconds
)
# No socket compresses: JPEG does not shrink, and each would hold a quarter of a megabyte for it.


async def moments(request: web.Request, source: Source, ticks: "Ticks") -> web.WebSocketResponse:
    """Send a moment for each credit: {"at_ns": null} for the next new one, or a time of a session.

    A credit with `sent_ms` is answered at once by that and the source's time, so that the page knows the round trip. A part of
    the moment that has not changed since the last one on this socket is left out.
    """
    socket = web.WebSocketResponse(max_msg_size=_LARGEST_CREDIT, heartbeat=20, compress=False)
    await socket.prepare(request)
    seen, sent = -1, dict[str, str]()
    async for message in socket:
        credit = _credit(message)
        if source.live and credit.sent_ms is not None:
            await socket.send_json({"echo_ms": credit.sent_ms, "now_ns": source.now_ns()})
        if source.live:
            seen = await ticks.after(seen)
        try:
            parts = await source.moment(credit.at_ns)
        except SessionError:  # it cannot be read any more; the page opens another socket
            break
        new = {name: text for name, text in parts.items() if sent.get(name) != text}
        sent |= new
        await socket.send_str(whole(new))
    return socket


def whole(parts: Mapping[str, str]) -> str:
    """The JSON of an object, of its members' names and JSON."""
    return "{" + ",".join(f'"{name}":{text}' for name, text in parts.items()) + "}"


async def pictures(request: web.Request, source: Source, camera: str) -> web.WebSocketResponse:
    """Send a picture for each credit, newer than the last one of a live run; where there is none, after a while a header alone
    with the last one's number: silence means that the connection is dead.
    """
    socket = web.WebSocketResponse(max_msg_size=_LARGEST_CREDIT, heartbeat=20, compress=False)
    await socket.prepare(request)
    last = 0
    async for message in socket:
        try:
            found = await source.picture(camera, _credit(message).at_ns)
        except SessionError:
            break
        until_ns = robot_time_ns() + _NOTHING_NEW_NS
        while source.live and (found is None or found.number == last) and robot_time_ns() < until_ns:
            await asyncio.sleep(_POLL_S)
            found = await source.picture(camera, None)
        if found is None or (source.live and found.number == last):
            await socket.send_bytes(_HEADER.pack(last, 0, robot_time_ns()))
            continue
        last = found.number
        await socket.send_bytes(_HEADER.pack(found.number, found.capture_ns, robot_time_ns()) + found.jpeg)
    return socket


async def operator_socket(request: web.Request, operator: OperatorSession) -> web.WebSocketResponse:
    """What one page wants. Every refusal, every hold and every beat is answered: a hold is sent again until that comes."""
    socket = web.WebSocketResponse(max_msg_size=requests.LARGEST_BYTES, heartbeat=5, compress=False)
    await socket.prepare(request)
    who = page_name(request)
    telling: set[asyncio.Task[None]] = set()  # the loop itself holds tasks only weakly

    def changed() -> None:
        task = asyncio.create_task(_tell(socket, operator, who))
        telling.add(task)
        task.add_done_callback(telling.discard)

    leaving = operator.listen(changed)
    operator.enter(who)
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
            answer = _answer(operator, who, requests.parse(message.data))
            if answer is not None:
                await socket.send_json(answer)
    finally:
        leaving()
        operator.leave(who)
    return socket


def page_name(request: web.Request) -> str:
    """What a page calls itself over all of its connections, a secret of its own; a new name for one that does not."""
    name = request.query.get("page", "")
    return name if re.fullmatch(_PAGE_NAME, name) else uuid.uuid4().hex


def _answer(operator: OperatorSession, who: str, request: requests.Request | str) -> dict[str, Any] | None:
    now_ns = robot_time_ns()
    refused = operator.hear(who, request, now_ns)
    match request:
        case _ if refused:
            return {"type": "refused", "why": refused}
        case requests.Beat():
            return {"type": "beat", "sent_ms": request.sent_ms, "now_ns": now_ns}
        case requests.Command(command="hold"):
            return {"type": "held", "press": request.press}
        case _:
            return None


async def _tell(socket: web.WebSocketResponse, operator: OperatorSession, who: str) -> None:
    with suppress(ConnectionError):  # the page may be going
        if not socket.closed:
            await socket.send_json({"type": "lease", **operator.describe(who)})


@dataclass(frozen=True)
class _Credit:
    """What is asked for, None: the newest; and when, by the page's clock."""

    at_ns: int | None = None
    sent_ms: float | None = None


def _credit(message: WSMessage) -> _Credit:
    """What a credit says; anything that is not understood asks for the newest."""
    try:
        said = json.loads(message.data)
        at_ns, sent_ms = said["at_ns"], said.get("sent_ms")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return _Credit()
    timed = type(sent_ms) in (int, float) and math.isfinite(sent_ms)
    return _Credit(at_ns if type(at_ns) is int else None, sent_ms if timed else None)


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
