"""The console's sockets: a session's give one answer a credit, orders are refused in a line, and nothing too large passes.

Called by pytest; over real WebSockets on loopback.
"""

import asyncio
import shutil
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import simplejpeg
from aiohttp import ClientSession, ClientWebSocketResponse, WSCloseCode, WSMsgType

from runtime.console import app, requests
from runtime.console.guard import Guard
from runtime.console.operator_session import OperatorSession
from runtime.console.recorded import Recorded, SessionIndex
from runtime.messaging import messages
from runtime.messaging.bus import Bus

NAME = "2026-11-25T10-00-00_block_handover_8"
_HEADER = struct.Struct("<qqq")
Use = Callable[[ClientWebSocketResponse], Awaitable[None]]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one session."""
    folder = tmp_path_factory.mktemp("sessions")
    (folder / NAME).mkdir()
    shutil.copy(Path(__file__).parents[1] / "golden" / "session-schema-1.mcap", folder / NAME / "session.mcap")
    return folder


def with_socket(index: Path, place: str, use: Use, operator: OperatorSession | None = None) -> None:
    """Open one socket of the session's page, and do something with it."""
    found: list[int] = []

    async def serve() -> None:
        async with ClientSession() as client:
            address = f"http://127.0.0.1:{found[0]}/{place}?source={NAME}"
            async with client.ws_connect(address) as socket:
                await asyncio.wait_for(use(socket), 20)

    console = app.Console(Guard("127.0.0.1", ""), SessionIndex(index), operator=operator)
    app.run_forever(app.application(console), "127.0.0.1", 0, None, found.append, serve())


@pytest.mark.parametrize("credit", ['{"at_ns": null}', "{}", "nonsense", '{"at_ns": "now"}', '{"at_ns": true}', "7"])
def test_a_credit_is_answered_once(index: Path, credit: str) -> None:
    async def use(socket: ClientWebSocketResponse) -> None:
        await socket.send_str(credit)
        assert "safety" in await socket.receive_json()
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.2)

    with_socket(index, "moments", use)


def test_a_picture_comes_with_its_number_and_its_time(index: Path) -> None:
    recorded = Recorded(index / NAME)
    middle_ns = (recorded.begin_ns + recorded.end_ns) // 2

    async def use(socket: ClientWebSocketResponse) -> None:
        await socket.send_json({"at_ns": middle_ns})
        reported = await socket.receive_bytes()
        number, capture_ns, _ = _HEADER.unpack(reported[: _HEADER.size])
        assert number > 0 and 0 < middle_ns - capture_ns < 1e9
        assert simplejpeg.decode_jpeg(reported[_HEADER.size :]).ndim == 3

    with_socket(index, "pictures/head", use)


@pytest.mark.parametrize("place", ["moments", "pictures/head"])
def test_what_is_too_large_closes_the_socket(index: Path, place: str) -> None:
    async def use(socket: ClientWebSocketResponse) -> None:
        await socket.send_str(" " * (requests.LARGEST_BYTES + 1))
        answer = await socket.receive()
        assert answer.type in (WSMsgType.CLOSE, WSMsgType.CLOSED) and socket.close_code == 1009

    with_socket(index, place, use)


@pytest.fixture
def operator(bus: Callable[[str], Bus]) -> OperatorSession:
    """With its real publishers."""
    here = bus("console")
    return OperatorSession(
        {name: here.publisher(name) for name in ("operator_command", "steering", "deadman")}, epoch=1
    )


@pytest.fixture
def sent_commands(bus: Callable[[str], Bus], operator: OperatorSession) -> Callable[[], list[tuple[str, str]]]:
    """What the arms hear: orders and their sources."""
    listener = bus("arms")
    heard = listener.subscriber("operator_command")

    def taken() -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        while listener.wait(0.5):  # until all is quiet: two messages seldom arrive as one
            found += [
                (m.command, m.source)
                for m in (r.message for r in heard.take())
                if isinstance(m, messages.OperatorCommand)
            ]
        return found

    deadline = time.monotonic() + 5
    operator.hear("nobody", '{"type": "command", "command": "hold"}', 1)
    while not taken():  # until they are connected
        assert time.monotonic() < deadline
        operator.hear("nobody", '{"type": "command", "command": "hold"}', 1)
    taken()
    return taken


@pytest.mark.parametrize(
    "request_",
    ['{"type": "command", "command": "dance"}', "nonsense", '{"type": "command", "command": "run", "x": 1}', ""],
)
def test_what_is_no_order_is_refused_in_a_line_and_reaches_nobody(
    request_: str, index: Path, operator: OperatorSession, sent_commands: Callable[[], list[tuple[str, str]]]
) -> None:
    async def use(socket: ClientWebSocketResponse) -> None:
        assert (await socket.receive_json())["type"] == "lease"
        await socket.send_str(request_)
        answer = await socket.receive_json()
        assert answer["type"] == "refused" and "\n" not in answer["why"]
        await socket.send_str('{"type": "command", "command": "run"}')
        assert "take the lease" in (await socket.receive_json())["why"], "the socket goes on"

    with_socket(index, "operator", use, operator)
    assert sent_commands() == []


def test_a_hold_is_answered_so_that_the_page_knows(
    index: Path, operator: OperatorSession, sent_commands: Callable[[], list[tuple[str, str]]]
) -> None:
    async def use(socket: ClientWebSocketResponse) -> None:
        assert (await socket.receive_json())["type"] == "lease"
        for _ in range(2):
            await socket.send_str('{"type": "command", "command": "hold"}')
            assert (await socket.receive_json()) == {"type": "held"}

    with_socket(index, "operator", use, operator)
    assert sent_commands() == [("hold", "console")] * 2


@pytest.mark.parametrize("large", [" " * (requests.LARGEST_BYTES + 1), b"\x00"], ids=["too large", "bytes"])
def test_who_sends_what_no_page_sends_is_cut_off_and_his_robot_holds(
    large: str | bytes, index: Path, operator: OperatorSession, sent_commands: Callable[[], list[tuple[str, str]]]
) -> None:
    async def use(socket: ClientWebSocketResponse) -> None:
        for request in ('{"type": "take", "name": "Anna"}', '{"type": "deadman", "wanted": true}'):
            await socket.send_str(request)
        while not (await socket.receive_json()).get("deadman"):
            pass
        await (socket.send_str(large) if isinstance(large, str) else socket.send_bytes(large))
        while (await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED):
            pass

    with_socket(index, "operator", use, operator)
    assert sent_commands() == [("hold", "console: Anna")]
    assert operator.lease.holder == ""


def test_who_floods_the_desk_is_cut_off(index: Path, operator: OperatorSession) -> None:
    async def use(socket: ClientWebSocketResponse) -> None:
        with suppress(ConnectionError):
            for _ in range(2000):
                await socket.send_str('{"type": "beat", "x": 1}')
        while (await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED):
            pass
        assert socket.close_code == WSCloseCode.POLICY_VIOLATION

    with_socket(index, "operator", use, operator)
