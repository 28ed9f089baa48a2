"""Who may open the console: by address, origin and token. Deterministic.
Called by app.py for every request.

On loopback everybody on this machine may, unless a token is set. A page of another origin never may, whatever it knows: a
browser tells where a page comes from, and asks for another host under a name of its own.
"""

import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from runtime.config.settings import LOOPBACK

COOKIE = "video2act"
_BEARER = "Bearer "


@dataclass(frozen=True)
class Guard:
    """What the settings allow. `token` empty: none is asked for (loopback only)."""

    host: str
    token: str

    def refuses(
        self, host: str, origin: str | None, cookie: str, authorization: str, secure: bool
    ) -> tuple[int, str] | None:
        """Why a request is refused, as HTTP status and text; None: it may pass. `host`, `origin`: its headers.

        `secure`: it came by TLS. A page of the same host that did not is another: whoever is on the way can write it.
        """
        try:
            name = urlsplit(f"//{host}").hostname or ""
            page = None if origin is None else urlsplit(origin)
        except ValueError:
            return 403, "Host or Origin header is malformed"
        if self.host in LOOPBACK and name not in LOOPBACK:
            return 403, f"Host: expected {self.host}, got {name[:80]!r}; open the page at {self.host}"
        if page is not None and (page.scheme, page.netloc) != ("https" if secure else "http", host):
            return 403, f"Origin: pages of {(origin or '')[:80]!r} may not use this console"
        if self.token and not (self._is_token(cookie) or self._is_token(authorization.removeprefix(_BEARER))):
            return 401, "token is missing or wrong; open the address that robot.sh prints, with ?token= and the token"
        return None

    def lets_in(self, token: str) -> bool:
        """Whether a token of the address is the right one."""
        return bool(self.token) and self._is_token(token)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(errors="replace"), self.token.encode())
