"""Somebody else's policy server on loopback, by aiohttp and our array codec; what it answers is up to the test.

As openpi's own it computes within its loop: while it is slow it answers no ping either.
"""

import asyncio
import ssl
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web
from numpy.typing import NDArray

from drivers.cobot_magic import ready_pose
from runtime.messaging import openpi

Answer = Callable[[dict[str, Any]], bytes | str | tuple[bytes, ...] | None]
"""Of an observation: a frame of bytes, one of text, several, or None for silence."""
READY = ready_pose().astype(np.float32)
UNSAID = (
    *("--policy.wire.dt_s", "0.04", "--policy.wire.grippers", "m", "--policy.wire.frame", "absolute"),
    *("--policy.wire.pictures", "64x64", "--policy.wire.cameras.head", "cam_high"),
)
"""What openpi's servers do not say of themselves."""
_WAIT_S = 10.0  # for the thread to begin and to end


def chunk(actions: NDArray[Any], **others: Any) -> bytes:
    """A reply as openpi's servers send it."""
    return openpi.packed({"actions": actions, "server_timing": {"infer_ms": 1.0}, **others})


def standing(targets: int = 50) -> bytes:
    """A chunk that stays at the ready pose."""
    return chunk(np.tile(READY, (targets, 1)))


class ForeignServer:
    """A context manager; `address` is where it listens, `seen` what it was asked."""

    def __init__(
        self, answer: Answer, metadata: Any = None, port: int = 0, token: str = "",
        encryption: ssl.SSLContext | None = None, elsewhere: str = "",
    ) -> None:  # fmt: skip
        self.seen: list[dict[str, Any]] = []
        self.clients, self.port = 0, port
        self._answer, self._token, self._encryption, self._elsewhere = answer, token, encryption, elsewhere
        self._first = metadata if isinstance(metadata, bytes | str) else openpi.packed(metadata or {})
        self._loop, self._over, self._ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def address(self) -> str:
        """As `--policy.server` takes it."""
        return f"{'wss' if self._encryption else 'ws'}://127.0.0.1:{self.port}"

    def __enter__(self) -> "ForeignServer":
        self._thread.start()
        assert self._ready.wait(_WAIT_S), "it did not begin"
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End, if it has not ended yet; its clients lose their connections."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(_WAIT_S)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        application = web.Application()
        application.router.add_get("/", self._client)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=self._encryption).start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._over.wait()
        await runner.cleanup()

    async def _client(self, request: web.Request) -> web.StreamResponse:
        if self._token and request.headers.get("Authorization") != f"Api-Key {self._token}":
            return web.Response(status=401)
        if self._elsewhere:
            raise web.HTTPFound(self._elsewhere)
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        self.clients += 1
        await _send(socket, self._first)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                self.seen.append(openpi.unpacked(message.data))
                answer = self._answer(self.seen[-1])
                for frame in answer if isinstance(answer, tuple) else (answer,):
                    if frame is not None:
                        await _send(socket, frame)
        return socket


async def _send(socket: web.WebSocketResponse, frame: bytes | str) -> None:
    await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_str(frame))
