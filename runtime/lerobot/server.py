"""The websocket at which clients of openpi ask a LeRobot policy for chunks: metadata first, then an answer each time.
Called by command.py. As runtime/serving/server.py answers, but by the package websockets, which the policy's environment has.

One client at a time, on this machine alone; a connection is an episode.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection
from websockets.sync.server import serve as listening

from runtime.errors import RuntimeFault, WireError
from runtime.messaging import openpi, openpi_observation
from runtime.messaging.openpi_observation import Seen

log = logging.getLogger(__name__)
_FAREWELL_S = (
    1.0  # for the client before to be gone, which may be the same one; chosen: openpi's clients come back at once
)
LOOPBACK = "127.0.0.1"
HEALTH = "/healthz"
"""Where openpi's servers say that they are there."""


class Predicting(Protocol):
    """What is served: policy.LerobotPolicy."""

    def begin(self) -> None:
        """Forget what was seen."""
        ...

    def chunk(self, seen: Seen, task: str) -> NDArray[np.float32]:
        """(H, J) targets for an observation."""
        ...


class PolicyServer:
    """One policy and its clients, one after another."""

    def __init__(self, policy: Predicting, metadata: Mapping[str, Any], cameras: Sequence[str], task: str) -> None:
        """`cameras`: whose pictures are needed. `task`: the instruction whatever clients send; empty: theirs."""
        self._policy, self._metadata, self._cameras, self._task = policy, dict(metadata), cameras, task
        self._busy = threading.Lock()
        self._server: Server | None = None

    def run(self, port: int, ready: Callable[[int], None]) -> None:
        """Serve until `stop`.

        Args:
            port: 0: any free one.
            ready: Is given the port.

        Raises:
            OSError: The port is taken.
        """
        with listening(
            self._client, LOOPBACK, port, compression=None, max_size=openpi.LARGEST_BYTES, process_request=self._first
        ) as server:
            self._server = server
            ready(server.socket.getsockname()[1])
            server.serve_forever()

    def stop(self, *_: object) -> None:
        """End; a client loses its connection. Also a handler of signals."""
        if self._server is not None:  # `shutdown` waits for the thread that serves, and a handler runs in that one
            threading.Thread(target=self._server.shutdown, daemon=True).start()

    def _first(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to what is no client's request, or to one too many; None: go on."""
        if request.path == HEALTH:
            return connection.respond(200, "OK\n")
        if not self._busy.acquire(timeout=_FAREWELL_S):
            return connection.respond(503, "another client is connected; one at a time is served\n")
        self._busy.release()
        return None

    def _client(self, connection: ServerConnection) -> None:
        """One client, from its first message to its last."""
        if not self._busy.acquire(blocking=False):
            connection.close(1013, "another client is connected")
            return
        try:
            self._served(connection)
        except ConnectionClosed:
            log.info("client gone")
        finally:
            self._busy.release()

    def _served(self, connection: ServerConnection) -> None:
        log.info("client %s", connection.remote_address)
        self._policy.begin()
        connection.send(openpi.packed(self._metadata))
        prompt = ""
        for packet in connection:
            try:
                if isinstance(packet, str):
                    raise WireError("a text: send observations as msgpack, as openpi-client does")
                answer, prompt = self._answer(packet, prompt)
            except RuntimeFault as error:
                log.warning("refused: %s", error)
                connection.send(str(error))
                continue
            connection.send(answer)

    def _answer(self, packet: bytes, before: str) -> tuple[bytes, str]:
        """The answer to an observation, and the prompt that holds from then on. Raises RuntimeFault with one line."""
        began_s = time.perf_counter()
        seen = openpi_observation.read(openpi.unpacked(packet), self._cameras, self._metadata["action_horizon"])
        prompt = seen.prompt or before
        task = self._task or prompt
        if not task:
            raise WireError("prompt: is missing; send what the robot is to do")
        try:
            actions = self._policy.chunk(seen, task)
        except (RuntimeError, ValueError) as error:  # of the networks: a graphics card's full memory, a tokenizer
            raise RuntimeFault(f"cannot compute a chunk: {' '.join(str(error).split())[:200]}") from error
        if not np.isfinite(actions).all():
            raise RuntimeFault("the policy's chunk is not finite; check its statistics and its training")
        return openpi.packed(
            {"actions": actions, "server_timing": {"infer_ms": (time.perf_counter() - began_s) * 1e3}}
        ), prompt
