"""The web application: pages, sessions, sockets, and who may open them (runtime/console/guard.py).
Made by the console's process, the console without a robot and the replay's page.
"""

import asyncio
import base64
import hashlib
import json
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from drivers.cobot_magic import CAMERAS
from runtime.console import metrics, requests, sockets
from runtime.console.door import Door
from runtime.console.guard import COOKIE, Guard
from runtime.console.live import Live
from runtime.console.operator_session import OperatorSession
from runtime.console.reading import Reader, ReadSession
from runtime.console.recorded import SessionIndex
from runtime.console.sockets import Ticks
from runtime.console.source import Source
from runtime.errors import SessionError
from runtime.host.clock import robot_time_ns

STATIC = Path(__file__).parent / "static"
_LIVE = "live"
_WELCOME = '<!doctype html><meta http-equiv="refresh" content="0;url=/"><title>video2act</title>'
_IMPORT_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)


_DOOR = web.AppKey("door", Door)
_KEPT_S = 15.0  # a connection without a request; chosen: a page keeps one for HOLD by a request each 5 s


@dataclass(frozen=True)
class Console:
    """What the application serves. Without a run (`live` None) only sessions; without `operator` nothing can be commanded.

    `replays`: the session that is played in place of a robot, empty for a robot.
    """

    guard: Guard
    index: SessionIndex
    live: Live | None = None
    operator: OperatorSession | None = None
    ticks: Ticks | None = None
    replays: str = ""


def application(console: Console, door: Door | None = None) -> web.Application:
    """The routes of pages, sessions and sockets, each behind the guard's check."""
    door = door or Door()
    app = web.Application(middlewares=[_checked(console.guard, door)])
    app[_DOOR] = door
    app.on_response_prepare.append(_harden)
    reader = Reader(console.index.folder)
    serve = _Routes(console, reader)
    app.add_routes(
        [
            web.get("/", serve.page),
            web.get("/about", serve.about),
            web.get("/moments", serve.moments),
            web.get("/pictures/{camera}", serve.pictures),
            web.get("/operator", serve.operator),
            web.post("/hold", serve.hold),
            web.post("/reach", serve.reach),
            web.get("/sessions", serve.sessions),
            web.get("/sessions/{name}", serve.session),
            web.get("/sessions/{name}/joints", serve.joints),
            web.get("/sessions/{name}/thumbnail", serve.thumbnail),
            web.get("/metrics", serve.metrics),
            web.static("/static", STATIC),
        ]
    )

    async def end(app: web.Application) -> None:
        del app
        reader.close()

    app.on_cleanup.append(end)
    return app


def _checked(guard: Guard, door: Door) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        headers = request.headers
        if request.path == "/" and guard.lets_in(request.query.get("token", "")):
            # A page that leads on by itself, not a redirection: where a link of another page led here, a browser would send
            # the cookie with neither.
            welcome = web.Response(text=_WELCOME, content_type="text/html")
            welcome.set_cookie(COOKIE, request.query["token"], httponly=True, samesite="Strict", secure=request.secure)
            welcome.headers["Cache-Control"] = "no-store"
            return welcome
        refused = guard.refuses(
            headers.get("Host", ""),
            headers.get("Origin"),
            request.cookies.get(COOKIE, ""),
            headers.get("Authorization", ""),
            request.secure,
        )
        if refused is not None:
            return web.Response(status=refused[0], text=f"{refused[1]}\n")
        if door.refuses(request.protocol, request.path):
            full = web.HTTPServiceUnavailable(text="too many connections; close some pages\n")
            full.force_close()  # the place is wanted
            raise full
        return await handler(request)

    return check


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    """Every answer, errors too, says what a browser may do with it."""
    del request
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault("Cache-Control", "no-cache")


def _policy() -> str:
    """What the page may load: its own files, and of scripts within it the import map alone."""
    found = _IMPORT_MAP.search((STATIC / "index.html").read_text())
    digest = base64.b64encode(hashlib.sha256(found.group(1).encode() if found else b"").digest()).decode()
    return (
        f"default-src 'self'; script-src 'self' 'sha256-{digest}'; img-src 'self' blob: data:; "
        "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
    )


_POLICY = _policy()


class _Routes:
    def __init__(self, console: Console, reader: Reader) -> None:
        self._console, self._reader = console, reader

    async def page(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.FileResponse(STATIC / "index.html")

    async def about(self, request: web.Request) -> web.StreamResponse:
        """What there is to see: whether a run is live, whether it can be commanded, what is replayed, and the cameras'
        names.
        """
        del request
        console = self._console
        steered = console.operator is not None
        return web.json_response(
            {"live": console.live is not None, "steered": steered, "replays": console.replays, "cameras": CAMERAS}
        )

    async def moments(self, request: web.Request) -> web.StreamResponse:
        return await sockets.moments(request, await self._source(request), self._console.ticks or Ticks())

    async def pictures(self, request: web.Request) -> web.StreamResponse:
        camera = request.match_info["camera"]
        if camera not in CAMERAS:
            raise web.HTTPNotFound(text=f"unknown camera {camera[:40]!r}; choose one of {', '.join(CAMERAS)}\n")
        return await sockets.pictures(request, await self._source(request), camera)

    async def operator(self, request: web.Request) -> web.StreamResponse:
        if self._console.operator is None:
            raise web.HTTPNotFound(text="no robot is running\n")
        return await sockets.operator_socket(request, self._console.operator)

    async def hold(self, request: web.Request) -> web.StreamResponse:
        """HOLD over a connection of its own, for a page whose socket is silent; it asks until this answers."""
        if self._console.operator is None:
            raise web.HTTPNotFound(text="no robot is running\n")
        press = request.query.get("press", "")[: requests.PRESS_LETTERS]
        self._console.operator.hold(sockets.page_name(request), press, robot_time_ns())
        return web.Response(status=204)

    async def reach(self, request: web.Request) -> web.StreamResponse:
        """Nothing, at once: the page wants to know whether the robot can be reached again."""
        del request
        return web.Response(status=204)

    async def sessions(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.json_response(await asyncio.to_thread(self._console.index.list))

    async def session(self, request: web.Request) -> web.StreamResponse:
        return await self._read(self._reader.about(request.match_info["name"]))

    async def joints(self, request: web.Request) -> web.StreamResponse:
        """All joints over the whole session, for its plots."""
        return await self._read(self._reader.joints(request.match_info["name"]))

    async def thumbnail(self, request: web.Request) -> web.StreamResponse:
        picture = self._console.index.thumbnail(request.match_info["name"])
        if picture is None:
            raise web.HTTPNotFound(text="no frame\n")
        return web.Response(body=picture, content_type="image/png")

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """The live run's figures in Prometheus's text format (metrics.py)."""
        del request
        live = self._console.live
        reported = json.loads(sockets.whole(await live.moment())) if live is not None else {}
        return web.Response(body=metrics.text(reported).encode(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _source(self, request: web.Request) -> Source:
        name = request.query.get("source", _LIVE)
        if name != _LIVE:
            try:
                self._console.index.place(name)
            except SessionError as error:
                raise web.HTTPNotFound(text=f"{error}\n") from None
            return ReadSession(self._reader, name)
        if self._console.live is None:
            raise web.HTTPNotFound(text="no robot is running; choose a session\n")
        return self._console.live

    @staticmethod
    async def _read(reported: Awaitable[str]) -> web.StreamResponse:
        try:
            return web.Response(text=await reported, content_type="application/json")
        except SessionError as error:
            raise web.HTTPNotFound(text=f"{error}\n") from None


def run_forever(
    app: web.Application, host: str, port: int, certificate: Any, ready: Callable[[int], None], serve: Awaitable[None]
) -> None:
    """Serve until `serve` ends. `ready` is told the port; a port that is taken gives way to a free one."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(app, host, port, certificate, ready, serve))


async def _run(
    app: web.Application, host: str, port: int, certificate: Any, ready: Callable[[int], None], serve: Awaitable[None]
) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, keepalive_timeout=_KEPT_S)
    await runner.setup()
    assert runner.server is not None
    with _listening(host, port) as listening:
        accepting = asyncio.create_task(app[_DOOR].serve(listening, runner.server, certificate))
        try:
            ready(int(listening.getsockname()[1]))
            await serve
        finally:
            accepting.cancel()
            await asyncio.gather(accepting, return_exceptions=True)
            await runner.cleanup()


def _listening(host: str, port: int) -> socket.socket:
    """Where the page is served; a port that is taken gives way to a free one."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    try:
        made = socket.create_server(address[:2], family=family)
    except OSError:
        made = socket.create_server((address[0], 0), family=family)
    made.setblocking(False)
    return made
