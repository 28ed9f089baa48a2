"""The way into a policy server: its address, a token, TLS, and its metadata, which come first.
Called by server_link.py, and by the commands that ask a server once before they start.
"""

import asyncio
import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import (
    ClientConnectorCertificateError,
    ClientError,
    ClientSession,
    ClientWebSocketResponse,
    ClientWSTimeout,
    TraceConfig,
    WSMsgType,
    WSServerHandshakeError,
)

from runtime.config.settings import Settings
from runtime.config.wire_settings import FROM_VARIABLE
from runtime.errors import RuntimeFault, SettingsError, WireError
from runtime.host import secret_file
from runtime.messaging import openpi
from runtime.policy import server_metadata

LARGEST_REPLY_BYTES = 4 << 20
"""Of a frame from a server; the websocket refuses a longer one by its header. Chosen: a chunk of 128 targets is 14 KB."""
_OPEN_S = 5.0  # for a connection and its metadata; chosen: TLS across a slow link takes one
_CLOSE_S = 0.5  # for a server's farewell; chosen: a process that ends has a second
_TOKEN = r"[\x21-\x7e]{1,4096}"  # what can stand in a header
_REFUSED = {
    401: "the token is missing or wrong; give --policy.wire.token FILE",
    403: "the token is missing or wrong; give --policy.wire.token FILE",
    503: "it serves another client; end that one",
}
"""By HTTP's statuses (RFC 9110, 15.5 and 15.6): what a server's no means to a client of this protocol."""
_LETTERS = 160  # of a reason that comes from elsewhere


class Unreachable(RuntimeFault):
    """A server that cannot be connected to, and why."""


@dataclass(frozen=True)
class Door:
    """All that a connection needs."""

    address: str
    headers: dict[str, str]
    encryption: ssl.SSLContext | None

    @classmethod
    def of(cls, settings: Settings) -> "Door":
        """The door of `policy.server`. Raises SettingsError where its token or certificate cannot be read."""
        server, wire = settings.policy.server, settings.policy.wire
        token = _token(wire.token)
        headers = {"Authorization": f"Api-Key {token}"} if token else {}  # as openpi's clients send it
        return cls(server, headers, _encryption(wire.certificate) if server.startswith("wss:") else None)

    def session(self) -> ClientSession:
        """A client that goes where it was sent and nowhere else. It is closed by whoever asked for it."""
        tracing = TraceConfig()
        tracing.on_request_redirect.append(_refuse_redirect)
        return ClientSession(trace_configs=[tracing])

    async def opened(self, session: ClientSession) -> tuple[ClientWebSocketResponse, Any]:
        """A connection, and what the server says first. Raises Unreachable."""
        try:
            async with asyncio.timeout(_OPEN_S):
                return await self._opened(session)
        except TimeoutError:
            raise Unreachable(f"no answer within {_OPEN_S:g} s; start it, or give another address") from None
        except WSServerHandshakeError as error:
            raise Unreachable(_REFUSED.get(error.status, f"is no policy server (status {error.status})")) from None
        except ClientConnectorCertificateError:
            raise Unreachable("its certificate is not trusted; give --policy.wire.certificate FILE") from None
        except (ClientError, OSError, ValueError) as error:
            raise Unreachable(f"{_reason(error)}; start it, or give another address") from None

    async def _opened(self, session: ClientSession) -> tuple[ClientWebSocketResponse, Any]:
        socket = await session.ws_connect(
            self.address,
            headers=self.headers,
            ssl=True if self.encryption is None else self.encryption,
            max_msg_size=LARGEST_REPLY_BYTES,
            compress=0,  # what is small packed may be huge unpacked
            timeout=ClientWSTimeout(ws_close=_CLOSE_S),  # pyright: ignore[reportCallIssue]  a class of attrs
        )
        try:
            message = await socket.receive()
            if message.type is not WSMsgType.BINARY:
                raise Unreachable(f"is no policy server: its first message is no metadata but {message.type.name}")
            return socket, openpi.unpacked(message.data)
        except WireError as error:
            await socket.close()
            raise Unreachable(f"metadata: {error}") from None
        except BaseException:
            await socket.close()
            raise


def _reason(error: Exception) -> str:
    """What the system says, as "Connection refused", else what the library does."""
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return " ".join(str(error).split())[:_LETTERS] or type(error).__name__


async def _refuse_redirect(*_: object) -> None:
    raise Unreachable("is no policy server: it sends its clients elsewhere")


def asked(settings: Settings) -> Settings:
    """The settings with all that their policy's server says of itself; without a server as they are.

    Raises:
        RuntimeFault: It cannot be reached, or does not say enough; one line.
    """
    return _completed(settings) if settings.policy.server else settings


def _completed(settings: Settings) -> Settings:
    door = Door.of(settings)

    async def metadata() -> Any:
        async with door.session() as session:
            socket, first = await door.opened(session)
            await socket.close()
            return first

    try:
        return server_metadata.completed(settings, asyncio.run(metadata()))
    except Unreachable as error:
        raise RuntimeFault(f"--policy.server {door.address}: {error}") from None


def _token(place: str) -> str:
    """The token of a file or of a variable; empty: none is given."""
    if not place:
        return ""
    if place.startswith(FROM_VARIABLE):
        known = os.environ.get(place.removeprefix(FROM_VARIABLE), "")
    else:
        try:
            known = secret_file.read(Path(place))
        except FileNotFoundError:
            raise SettingsError(f"--policy.wire.token {place}: does not exist; give the file of the token") from None
    if not re.fullmatch(_TOKEN, known):
        raise SettingsError(f"--policy.wire.token {place}: must hold one line without blanks; ask the server's owner")
    return known


def _encryption(certificate: Path | None) -> ssl.SSLContext:
    """TLS that trusts this certificate alone, or what this machine trusts."""
    try:
        return ssl.create_default_context(cafile=certificate)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"--policy.wire.certificate {certificate}: cannot be read ({error}); give certificate.pem"
        ) from None
