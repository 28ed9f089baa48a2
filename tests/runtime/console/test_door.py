"""Connections that ask nothing: they are closed, keep nobody out, and leave room for HOLD. Called by pytest; real sockets."""

import asyncio
import resource
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, ClientTimeout
from console_page import Alone

from runtime.console import app, certificate
from runtime.console.door import Door, Places
from runtime.console.guard import Guard
from runtime.console.operator_session import OperatorSession
from runtime.console.recorded import SessionIndex
from runtime.messaging.bus import Bus

Use = Callable[[int], Awaitable[None]]
HALF = b"GET /about HTTP/1.1\r\nHost: 127.0.0.1\r\n"
SMALL = Places(most=12, most_from_one=8, reserved=2)


@pytest.fixture
def operator(bus: Callable[[str], Bus]) -> OperatorSession:
    """With its real publishers."""
    here = bus("console")
    return OperatorSession(
        {name: here.publisher(name) for name in ("operator_command", "steering", "deadman")}, epoch=1
    )


def with_door(
    folder: Path, door: Door, use: Use, operator: OperatorSession | None = None, tls: ssl.SSLContext | None = None
) -> None:
    """Serve a page behind a door, and do something at its port."""
    found: list[int] = []

    async def serve() -> None:
        await asyncio.wait_for(use(found[0]), 30)

    console = app.Console(Guard("127.0.0.1", ""), SessionIndex(folder), operator=operator)
    app.run_forever(app.application(console, door), "127.0.0.1", 0, tls, found.append, serve())


@contextmanager
def half(port: int, text: bytes = HALF) -> Generator[socket.socket]:
    """A connection that goes no further."""
    with closing(socket.create_connection(("127.0.0.1", port), 5)) as made:
        made.sendall(text)
        made.setblocking(False)
        yield made


async def ended(connection: socket.socket, within_s: float = 2.0) -> bool:
    """Whether the other side closes a connection."""

    async def read() -> None:
        while await asyncio.get_running_loop().sock_recv(connection, 1000):  # perhaps that it is no request
            pass

    try:
        await asyncio.wait_for(read(), within_s)
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("text", [b"", b"G", HALF, b"\x16\x03"], ids=["nothing", "a letter", "half a header", "bytes"])
def test_who_does_not_ask_in_time_is_closed(tmp_path: Path, text: bytes) -> None:
    async def use(port: int) -> None:
        with half(port, text) as connection:
            assert await ended(connection)

    with_door(tmp_path, Door(header_s=0.3), use)


def test_a_handshake_that_stops_is_closed_too(tmp_path: Path) -> None:
    certificate.main([str(tmp_path / "tls"), "127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls" / "certificate.pem", tmp_path / "tls" / "key.pem")

    async def use(port: int) -> None:
        with half(port, b"\x16\x03\x01") as connection:
            assert await ended(connection)

    with_door(tmp_path, Door(header_s=0.3), use, tls=context)


def test_a_flood_of_half_requests_keeps_nobody_out(tmp_path: Path) -> None:
    async def use(port: int) -> None:
        with ExitStack() as opened:
            halves: list[socket.socket] = []
            for _ in range(100):
                halves.append(opened.enter_context(half(port)))
                await asyncio.sleep(0)
            for _ in range(20):
                async with ClientSession(timeout=ClientTimeout(2)) as client, client.get(about(port)) as answer:
                    assert answer.status == 200
            for one in halves[:80]:
                assert await ended(one, 0.2), "the oldest made room"

    with_door(tmp_path, Door(SMALL, header_s=20), use)


def test_the_last_places_are_for_hold(tmp_path: Path, operator: OperatorSession) -> None:
    async def use(port: int) -> None:
        timeout = ClientTimeout(2)
        async with ClientSession() as viewers:
            sockets = [
                await viewers.ws_connect(f"http://127.0.0.1:{port}/operator") for _ in range(SMALL.most_from_one)
            ]
            for _ in range(5):
                async with ClientSession(timeout=timeout) as client, client.get(about(port)) as answer:
                    assert answer.status == 503 and "too many connections" in await answer.text()
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
            async with ClientSession(timeout=timeout) as client:
                socket_ = await client.ws_connect(f"http://127.0.0.1:{port}/operator")
                await socket_.send_str('{"type": "command", "command": "hold", "press": "one"}')
                while (await socket_.receive_json())["type"] != "held":
                    pass
                assert not any(one.closed for one in sockets)
                async with client.post(f"http://127.0.0.1:{port}/hold?press=two") as answer:
                    assert answer.status == 204

    with_door(tmp_path, Door(SMALL), use, operator)


def about(port: int) -> str:
    return f"http://127.0.0.1:{port}/about"


def test_a_process_with_few_descriptors_survives_1300_half_requests(tmp_path: Path) -> None:
    """With the limits as they are delivered."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        serving = Alone(tmp_path)
        url = serving.__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 2000), limits[1]))
    with ExitStack() as opened:
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        opened.callback(serving.__exit__)
        port = urlsplit(url).port or 0
        for _ in range(1300):
            one = opened.enter_context(closing(socket.create_connection(("127.0.0.1", port), 5)))
            one.sendall(HALF)
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", f"import urllib.request; print(urllib.request.urlopen({about(port)!r}, timeout=5).status)"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == "200" and time.monotonic() - began < 5
