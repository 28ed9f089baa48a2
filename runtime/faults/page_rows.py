"""Faults of pages and of the way to them: slow viewers, a link that falls silent, half requests that nobody ends.
Read by robots.py.
"""

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

from runtime.bench.slow_link import SlowLink
from runtime.faults.live_robot import LiveRobot
from runtime.faults.pages import VIEWED, Pages, about, address_of, own_mb
from runtime.faults.row import Row
from runtime.host import descriptors

_VIEWERS = 5  # as the matrix says
_HALVES = 1000  # half requests; chosen: as many as a console of 1024 descriptors could hold
_SETTLE_S = 2.0  # after which the console's memory is taken; chosen


@dataclass
class SlowViewers:
    """Five viewers of each camera who take two pictures a second."""

    _pages: Pages | None = None
    _console: int = 0
    _before_mb: float = 0.0

    def prepare(self, robot: LiveRobot) -> None:
        self._console = robot.child("console")
        self._before_mb = own_mb(self._console)

    def begin(self, robot: LiveRobot) -> str:
        self._pages, address = Pages(), address_of(robot)
        for camera in VIEWED * _VIEWERS:
            self._pages.begin(self._pages.view(address, camera))
        return ""

    def end(self, robot: LiveRobot) -> Mapping[str, float]:
        assert self._pages is not None
        more_mb = own_mb(self._console) - self._before_mb
        self._pages.close()
        ages_ms = self._pages.ages_ms or [float("inf")]
        return {"console MB more": more_mb, "pictures' age ms": float(np.percentile(ages_ms, 90))}


@dataclass
class SilentPage:
    """An operator drives by a page with the deadman on, and nothing comes over its link any more."""

    _pages: Pages | None = None
    _link: SlowLink | None = None

    def prepare(self, robot: LiveRobot) -> None:
        self._link = SlowLink(urlsplit(address_of(robot)).port or 0)
        self._link.__enter__()
        self._pages = Pages()
        self._pages.begin(self._pages.drive(f"http://127.0.0.1:{self._link.port}/"))
        robot.pause(_SETTLE_S)

    def begin(self, robot: LiveRobot) -> str:
        assert self._link is not None
        self._link.silence()
        return ""

    def end(self, robot: LiveRobot) -> Mapping[str, float]:
        assert self._link is not None and self._pages is not None
        self._link.__exit__()
        self._pages.close()
        robot.pause(_SETTLE_S)  # until the console has seen that the page is gone
        return {}


@dataclass
class HalfRequests:
    """Connections that begin a request and never end it; meanwhile another page asks something."""

    _open: list[socket.socket] = field(default_factory=list[socket.socket])

    def prepare(self, robot: LiveRobot) -> None:
        descriptors.ensure(2 * _HALVES)

    def begin(self, robot: LiveRobot) -> str:
        port = urlsplit(address_of(robot)).port
        for _ in range(_HALVES):
            try:
                half = socket.create_connection(("127.0.0.1", port), timeout=0.2)
                half.sendall(b"GET / HTTP/1.1\r\nHost: 127")
                self._open.append(half)
            except OSError:  # refused: so it should be from some number on
                break
        return ""

    def end(self, robot: LiveRobot) -> Mapping[str, float]:
        pages, began = Pages(), time.monotonic()
        try:
            pages.run(about(address_of(robot)), 10.0)
            took_ms = (time.monotonic() - began) * 1e3
        except (OSError, TimeoutError):
            took_ms = float("inf")
        pages.close()
        for half in self._open:
            half.close()
        self._open = []
        return {"answer ms": took_ms}


# Figures are the matrix's; what a fault is made of is chosen.
PAGES = (
    Row(
        "slow viewers", SlowViewers(), "", reaction="none", lasts_s=8.0, kept=("console", "arms"),
        most={"console MB more": 20.0, "pictures' age ms": 200.0, "late ms": 5.0},
    ),
    Row("console link cut", SilentPage(), "console page of faults silent", 350, held_ms=350),
    Row(
        "half requests", HalfRequests(), "", reaction="none", lasts_s=5.0, kept=("console", "arms"),
        most={"answer ms": 1000.0, "late ms": 5.0},
    ),
)  # fmt: skip
