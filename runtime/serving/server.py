"""The websocket at which openpi's clients ask for chunks: metadata first, then an answer for each observation.

Called by command.py. What is wrong with an observation is answered by a text of one line, as openpi's servers do; the client
stays connected, and nothing has been learnt of it. One client at a time: frames are numbered for one robot.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from ssl import SSLContext
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from runtime.errors import RuntimeFault
from runtime.host.clock import robot_time_ns
from runtime.messaging import openpi, openpi_observation
from runtime.serving.served_policy import ServedPolicy

log = logging.getLogger(__name__)
_SCHEMES = ("Api-Key ", "Bearer ")  # of the Authorization header: openpi's clients send the first
_PING_S = 20.0  # without an answer to a ping for half of that a client is gone; chosen, as websockets has it
HEALTH = "/healthz"
"""Where openpi's servers say that they are there."""


class PolicyServer:
    """One policy and its clients; all networks run in one thread of their own."""

    def __init__(self, policy: ServedPolicy, metadata: dict[str, Any], token: str) -> None:
        """`token` empty: none is asked for."""
        self._policy, self._metadata, self._token = policy, metadata, token
        self._thread = ThreadPoolExecutor(1, "policy")
        self._busy = False

    def application(self) -> web.Application:
        """What aiohttp serves."""
        made = web.Application()
        made.router.add_get("/", self._client)
        made.router.add_get(HEALTH, _healthy)
        made.on_cleanup.append(self._close)
        return made

    async def _close(self, _app: web.Application) -> None:
        self._thread.shutdown(wait=True)

    async def _client(self, request: web.Request) -> web.StreamResponse:
        """One client, from its first message to its last."""
        if not self._may(request.headers.get("Authorization", "")):
            return web.Response(status=401, text="the token is missing or wrong; give it as the client's api_key")
        if not web.WebSocketResponse().can_prepare(request):
            return web.Response(status=426, text="this is a policy server; connect with openpi-client")
        if self._busy:
            return web.Response(status=503, text="another client is connected; one at a time is served")
        self._busy = True
        try:
            return await self._served(request)
        finally:
            self._busy = False

    async def _served(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=_PING_S, max_msg_size=openpi.LARGEST_BYTES, compress=False)
        await socket.prepare(request)
        log.info("client %s", request.remote)
        await self._run(lambda: self._policy.begin(robot_time_ns()))
        await socket.send_bytes(openpi.packed(self._metadata))
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                await self._answer(socket, message.data)
            elif message.type is WSMsgType.TEXT:
                await socket.send_str("a text: send observations as msgpack, as openpi-client does")
        if socket.close_code not in (None, WSCloseCode.OK, WSCloseCode.GOING_AWAY, WSCloseCode.ABNORMAL_CLOSURE):
            log.warning("client %s: closed with %s", request.remote, socket.close_code)
        return socket

    async def _answer(self, socket: web.WebSocketResponse, packet: bytes) -> None:
        began_ns = robot_time_ns()
        try:
            answer = await self._run(lambda: self._chunk(packet, began_ns))
        except RuntimeFault as error:  # of the observation, or of the policy: an instruction that cannot be encoded
            log.warning("refused: %s", error)
            await socket.send_str(str(error))
            return
        await socket.send_bytes(answer)

    def _chunk(self, packet: bytes, began_ns: int) -> bytes:
        """The answer to an observation. Raises RuntimeFault with one line."""
        policy = self._policy
        seen = openpi_observation.read(openpi.unpacked(packet), policy.cameras, policy.needs.targets)
        actions = policy.chunk(seen, began_ns)
        timing = {"infer_ms": (robot_time_ns() - began_ns) / 1e6}
        return openpi.packed({"actions": actions, "server_timing": timing})

    async def _run(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _may(self, authorization: str) -> bool:
        if not self._token:
            return True
        given = next((authorization.removeprefix(name) for name in _SCHEMES if authorization.startswith(name)), "")
        return hmac.compare_digest(given.encode(errors="replace"), self._token.encode())


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="OK\n")


async def serve(
    server: PolicyServer, host: str, port: int, encryption: SSLContext | None, ready: Callable[[int], None],
    ended: Awaitable[None],
) -> None:  # fmt: skip
    """Serve until `ended`.

    Args:
        server: Whose clients are served.
        host: An address of this machine.
        port: 0: any free one.
        encryption: TLS; None: none.
        ready: Is told the port.
        ended: Is waited for.

    Raises:
        OSError: The address is taken.
    """
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=encryption)
        await site.start()
        ready(runner.addresses[0][1])
        await ended
    finally:
        await runner.cleanup()
