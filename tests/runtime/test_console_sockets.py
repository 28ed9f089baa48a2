"""The sockets of a recorded session: one answer a credit, whatever is asked, and nothing too large. Called by pytest;
over real WebSockets on loopback."""

import asyncio
import shutil
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import simplejpeg
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from runtime.console import app, requests
from runtime.console.guard import Guard
from runtime.console.recorded import Recorded, Shelf

NAME = "2026-11-25T10-00-00_block_handover_8"
_HEADER = struct.Struct("<qqq")
Use = Callable[[ClientWebSocketResponse], Awaitable[None]]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one session."""
    folder = tmp_path_factory.mktemp("sessions")
    (folder / NAME).mkdir()
    shutil.copy(Path(__file__).parent / "golden" / "session-schema-1.mcap", folder / NAME / "session.mcap")
    return folder


def with_socket(shelf: Path, place: str, use: Use) -> None:
    """Open one socket of the session's page, and do something with it."""
    found: list[int] = []

    async def serve() -> None:
        async with ClientSession() as client:
            address = f"http://127.0.0.1:{found[0]}/{place}?source={NAME}"
            async with client.ws_connect(address) as socket:
                await asyncio.wait_for(use(socket), 20)

    console = app.Console(Guard("127.0.0.1", ""), Shelf(shelf))
    app.run_forever(app.application(console), "127.0.0.1", 0, None, found.append, serve())


@pytest.mark.parametrize("credit", ['{"at_ns": null}', "{}", "nonsense", '{"at_ns": "now"}', '{"at_ns": true}', "7"])
def test_a_credit_is_answered_once(shelf: Path, credit: str) -> None:
    async def use(socket: ClientWebSocketResponse) -> None:
        await socket.send_str(credit)
        assert "safety" in await socket.receive_json()
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.2)

    with_socket(shelf, "moments", use)


def test_a_picture_comes_with_its_number_and_its_time(shelf: Path) -> None:
    recorded = Recorded(shelf / NAME)
    middle_ns = (recorded.begin_ns + recorded.end_ns) // 2

    async def use(socket: ClientWebSocketResponse) -> None:
        await socket.send_json({"at_ns": middle_ns})
        told = await socket.receive_bytes()
        number, capture_ns, _ = _HEADER.unpack(told[: _HEADER.size])
        assert number > 0 and 0 < middle_ns - capture_ns < 1e9
        assert simplejpeg.decode_jpeg(told[_HEADER.size :]).ndim == 3

    with_socket(shelf, "pictures/head", use)


@pytest.mark.parametrize("place", ["moments", "pictures/head"])
def test_what_is_too_large_closes_the_socket(shelf: Path, place: str) -> None:
    async def use(socket: ClientWebSocketResponse) -> None:
        await socket.send_str(" " * (requests.LARGEST_BYTES + 1))
        answer = await socket.receive()
        assert answer.type in (WSMsgType.CLOSE, WSMsgType.CLOSED) and socket.close_code == 1009

    with_socket(shelf, place, use)
