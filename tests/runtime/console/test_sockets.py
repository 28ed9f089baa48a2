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
from typing import Any, cast

import pytest
import simplejpeg
from aiohttp import ClientSession, ClientWebSocketResponse, WSCloseCode, WSMsgType

from runtime.console import app, requests
from runtime.console.guard import Guard
from runtime.console.live import Live
from runtime.console.operator_session import OperatorSession
from runtime.console.recorded import Recorded, SessionIndex
from runtime.console.sockets import Ticks
from runtime.console.source import Picture
from runtime.host.clock import robot_time_ns
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

    async def opened(client: ClientSession, url: str) -> None:
        async with client.ws_connect(f"{url}{place}?source={NAME}") as socket:
            await use(socket)

    with_client(app.Console(Guard("127.0.0.1", ""), SessionIndex(index), operator=operator), opened)


def with_client(console: app.Console, use: Callable[[ClientSession, str], Awaitable[None]]) -> None:
    """Serve a console, and do something with its address."""
    found: list[int] = []

    async def serve() -> None:
        async with ClientSession() as client:
            await asyncio.wait_for(use(client, f"http://127.0.0.1:{found[0]}/"), 20)

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
    operator.hold("nobody", "", 1)
    while not taken():  # until they are connected
        assert time.monotonic() < deadline
        operator.hold("nobody", "", 1)
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
            await socket.send_str('{"type": "command", "command": "hold", "press": "p-1"}')
            assert (await socket.receive_json()) == {"type": "held", "press": "p-1"}

    with_socket(index, "operator", use, operator)
    assert sent_commands() == [("hold", "console")]


def test_a_beat_is_answered_by_the_robots_time(index: Path, operator: OperatorSession) -> None:
    async def use(socket: ClientWebSocketResponse) -> None:
        assert (await socket.receive_json())["type"] == "lease"
        before_ns = robot_time_ns()
        await socket.send_str('{"type": "beat", "sent_ms": 12.5}')
        answer = await socket.receive_json()
        assert (answer["type"], answer["sent_ms"]) == ("beat", 12.5) and before_ns <= answer[
            "now_ns"
        ] <= robot_time_ns()

    with_socket(index, "operator", use, operator)


def test_a_hold_comes_through_beside_the_socket(
    index: Path, operator: OperatorSession, sent_commands: Callable[[], list[tuple[str, str]]]
) -> None:
    page = "0123456789abcdef" * 2

    async def use(client: ClientSession, url: str) -> None:
        async with client.ws_connect(f"{url}operator?page={page}") as socket:
            await socket.send_str('{"type": "take", "name": "Anna"}')
            while not (await socket.receive_json())["mine"]:
                pass
            for _ in range(3):
                async with client.post(f"{url}hold?page={page}&press={page}-1") as answer:
                    assert answer.status == 204
            async with client.post(f"{url}hold?press=x", headers={"Origin": "http://evil.example"}) as answer:
                assert answer.status == 403
            async with client.get(f"{url}hold") as answer:
                assert answer.status == 405, "no link of another page holds"

    with_client(app.Console(Guard("127.0.0.1", ""), SessionIndex(index), operator=operator), use)
    assert sent_commands() == [("hold", "console: Anna")]


class Still:
    """A live source of which nothing changes but one part."""

    live = True
    count = 0

    def now_ns(self) -> int:
        """A time that no clock shows."""
        return 77

    async def moment(self, at_ns: int | None) -> dict[str, str]:
        """What stays, and a number that counts."""
        self.count += 1
        return {"chunk": "[1,2]", "count": str(self.count)}

    async def picture(self, camera: str, at_ns: int | None) -> Picture:
        """Always the same."""
        return Picture(5, 3, b"jpeg")


def still(index: Path, use: Callable[[ClientSession, str], Awaitable[None]]) -> None:
    """Do something with a console that shows it."""
    ticks = Ticks()

    async def used(client: ClientSession, url: str) -> None:
        ticking = asyncio.create_task(tick())
        await use(client, url)
        ticking.cancel()

    async def tick() -> None:
        while True:
            ticks.tick()
            await asyncio.sleep(0.02)

    with_client(app.Console(Guard("127.0.0.1", ""), SessionIndex(index), cast(Live, Still()), ticks=ticks), used)


def test_what_has_not_changed_is_sent_once_a_socket(index: Path) -> None:
    async def use(client: ClientSession, url: str) -> None:
        for _ in range(2):
            async with client.ws_connect(f"{url}moments") as socket:
                reported: list[dict[str, Any]] = []
                for _ in range(3):
                    await socket.send_str('{"at_ns": null, "sent_ms": 1.5}')
                    assert await socket.receive_json() == {"echo_ms": 1.5, "now_ns": 77}
                    reported.append(await socket.receive_json())
                assert ["chunk" in one for one in reported] == [True, False, False]
                assert len({one["count"] for one in reported}) == 3

    still(index, use)


def test_a_camera_that_has_nothing_new_does_not_look_like_a_dead_connection(index: Path) -> None:
    async def use(client: ClientSession, url: str) -> None:
        async with client.ws_connect(f"{url}pictures/head") as socket:
            for expected in ((5, 3, b"jpeg"), (5, 0, b""), (5, 0, b"")):
                await socket.send_str('{"at_ns": null}')
                reported = await asyncio.wait_for(socket.receive_bytes(), 0.9)
                number, capture_ns, _ = _HEADER.unpack(reported[: _HEADER.size])
                assert (number, capture_ns, reported[_HEADER.size :]) == expected

    still(index, use)


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
