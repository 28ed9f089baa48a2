"""The served policy over a real websocket: metadata, chunks, refusals, tokens, encryption, one client at a time.
Called by pytest. The real openpi-client talks to it in tests/real_openpi.sh.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from drivers.cobot_magic import ready_pose
from runtime.config.loading import load_settings
from runtime.config.settings import Page
from runtime.console import access, certificate
from runtime.errors import RuntimeFault
from runtime.messaging import openpi
from runtime.policy import server_metadata
from runtime.policy.opening import open_policy
from runtime.serving import command
from runtime.serving.served_policy import ServedPolicy
from runtime.serving.server import PolicyServer, serve

TOKEN = "a-token-of-18-chars"
SETTINGS = load_settings(["--ratio", "1", "--system1.device", "cpu", "--system2.device", "cpu"])
HANDSHAKE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip
Use = Callable[[ClientSession, str], Awaitable[None]]
Served = tuple[ServedPolicy, dict[str, Any]]


@pytest.fixture(scope="module")
def served() -> Served:
    """The shipped policy, and what clients are told of it."""
    policy = open_policy(SETTINGS)
    return ServedPolicy(SETTINGS, policy), command.metadata(SETTINGS, policy)


def run(served: Served, use: Use, token: str = "", encryption: Any = None) -> None:
    """Let a client use a server on a free port of loopback."""

    async def both() -> None:
        port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        over = asyncio.Event()
        server = PolicyServer(*served, token)
        serving = asyncio.create_task(serve(server, "127.0.0.1", 0, encryption, port.set_result, until(over)))
        try:
            async with ClientSession() as client:
                scheme = "https" if encryption else "http"
                await asyncio.wait_for(use(client, f"{scheme}://127.0.0.1:{await port}/"), 60)
        finally:
            over.set()
            await asyncio.wait_for(serving, 10)

    async def until(over: asyncio.Event) -> None:
        await over.wait()

    asyncio.run(both())


def observed(**changes: Any) -> dict[str, Any]:
    """An observation as openpi's ALOHA clients send it."""
    picture = np.random.default_rng(3).integers(0, 256, (3, 224, 224), dtype=np.uint8)
    images = dict.fromkeys(("cam_high", "cam_left_wrist", "cam_right_wrist"), picture)
    return {"images": images, "state": ready_pose(), "prompt": "put the cup down"} | changes


async def answered(socket: ClientWebSocketResponse) -> Any:
    """The next answer: what a packet holds, or a text as it is."""
    message = await socket.receive()
    assert message.type in (WSMsgType.BINARY, WSMsgType.TEXT), message
    return openpi.unpacked(message.data) if message.type is WSMsgType.BINARY else message.data


def test_a_client_gets_metadata_and_chunks_and_survives_its_own_mistakes(served: Served) -> None:
    async def use(client: ClientSession, address: str) -> None:
        async with client.get(address + "healthz") as reply:
            assert (reply.status, await reply.text()) == (200, "OK\n")
        async with client.get(address) as reply:
            assert reply.status == 426
        async with client.ws_connect(address, max_msg_size=0) as socket:
            metadata = await answered(socket)
            known = server_metadata.completed(
                load_settings(["--policy.server", "ws://127.0.0.1:8000"]), metadata
            ).policy.wire
            assert (known.dt_s, known.grippers, known.frame, known.pictures, known.prefix) == (
                metadata["dt_s"], "m", "absolute", "camera", True,
            )  # fmt: skip
            assert metadata["action_horizon"] == 64 and metadata["cameras"] == ["head", "left_wrist", "right_wrist"]
            await socket.send_bytes(openpi.packed(observed()))
            first = await answered(socket)
            assert first["actions"].shape == (64, 14) and np.abs(first["actions"]).max() < 3.2
            assert first["server_timing"]["infer_ms"] > 0
            for packet, said in (
                (b"\xc1", "not a packet of openpi's format"),
                (openpi.packed({"state": ready_pose()}), "images: must be a map"),
                (openpi.packed(observed(state=np.zeros(7))), "state: must be (14,)"),
            ):
                await socket.send_bytes(packet)
                answer = await answered(socket)
                assert isinstance(answer, str) and said in answer
            await socket.send_str("hello")
            assert "send observations as msgpack" in await answered(socket)
            async with client.get(address, headers=HANDSHAKE) as reply:
                assert reply.status == 503 and "one at a time" in await reply.text()
            await socket.send_bytes(openpi.packed(observed()))
            assert (await answered(socket))["actions"].shape == (64, 14)
        async with client.ws_connect(address, max_msg_size=0) as socket:
            await answered(socket)
            await socket.send_bytes(openpi.packed(observed()))
            np.testing.assert_array_equal((await answered(socket))["actions"], first["actions"], "a new episode")

    run(served, use)


def test_a_policy_that_cannot_is_one_line_too(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeFault("the text encoder cannot be loaded; fetch it with ./launch/weights.sh")

    async def use(client: ClientSession, address: str) -> None:
        async with client.ws_connect(address, max_msg_size=0) as socket:
            await answered(socket)
            with monkeypatch.context() as patch:
                patch.setattr(ServedPolicy, "chunk", refuse)
                await socket.send_bytes(openpi.packed(observed()))
                assert "cannot be loaded; fetch it" in await answered(socket)
            await socket.send_bytes(openpi.packed(observed()))
            assert (await answered(socket))["actions"].shape == (64, 14)

    run(served, use)


def test_a_packet_that_is_too_large_ends_the_connection_alone(served: Served) -> None:
    async def use(client: ClientSession, address: str) -> None:
        async with client.ws_connect(address, max_msg_size=0) as socket:
            await answered(socket)
            with suppress(ConnectionError):  # it may be closed before all of it is sent
                await socket.send_bytes(bytes(openpi.LARGEST_BYTES + 1))
            message = await socket.receive()
            assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)
        async with client.ws_connect(address) as socket:
            assert "checkpoint" in await answered(socket)

    run(served, use)


def test_only_who_has_the_token_is_served(served: Served) -> None:
    async def use(client: ClientSession, address: str) -> None:
        for wrong in ("", "Api-Key x", TOKEN, "Basic " + TOKEN):
            async with client.get(address, headers={"Authorization": wrong}) as reply:
                assert reply.status == 401 and "api_key" in await reply.text()
        for scheme in ("Api-Key ", "Bearer "):
            async with client.ws_connect(address, headers={"Authorization": scheme + TOKEN}) as socket:
                assert "checkpoint" in await answered(socket)

    run(served, use, TOKEN)


def test_beyond_loopback_it_is_encrypted(served: Served, tmp_path: Path) -> None:
    folder = tmp_path / "certificate"
    assert certificate.main([str(folder), "127.0.0.1"]) == 0
    page = Page(certificate=folder)
    trusted = ssl.create_default_context(cafile=folder / access.CERTIFICATE)

    async def use(client: ClientSession, address: str) -> None:
        key = {"Authorization": f"Api-Key {access.token(page)}"}
        async with client.ws_connect(address, ssl=trusted, headers=key) as socket:
            assert "checkpoint" in await answered(socket)

    run(served, use, access.token(page), access.encryption(page))
