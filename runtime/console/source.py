"""Where the page's moments come from: a live run (live.py) or a session (reading.py, recorded.py).
Used by app.py and sockets.py.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from runtime.host.clock import NS_PER_S

RATED = {"chunk": 20, "conditions": 8}
"""Topics whose rate is shown, each over so many messages; chosen: a few seconds' at the usual rates."""
SHOWN_EVENTS = 60  # the newest; chosen: more than the page's list has room for


@dataclass(frozen=True)
class Picture:
    """One camera's picture as it was taken; `capture_ns` is the exposure's time."""

    number: int
    capture_ns: int
    jpeg: bytes


class Source(Protocol):
    """Gives a moment and its pictures. Times are the run's CLOCK_MONOTONIC ns; None: the newest there is."""

    live: bool

    def now_ns(self) -> int:
        """The run's time now; of a session 0."""
        ...

    async def moment(self, at_ns: int | None) -> dict[str, str]:
        """The parts of a moment, each as JSON; what it holds is said in runtime/console/view.py."""
        ...

    async def picture(self, camera: str, at_ns: int | None) -> Picture | None:
        """What a camera showed; None: nothing yet."""
        ...


def parts(moment: Mapping[str, Any]) -> dict[str, str]:
    """A moment's parts as JSON, each by itself: what has not changed need not be sent again."""
    return {name: json.dumps(part, separators=(",", ":")) for name, part in moment.items()}


def rate_hz(stamps: Sequence[int]) -> float:
    """Messages a second, by the stamps (ns) of the last ones; 0 for fewer than two."""
    lasted_ns = stamps[-1] - stamps[0] if stamps else 0
    return NS_PER_S * (len(stamps) - 1) / lasted_ns if lasted_ns > 0 else 0.0
