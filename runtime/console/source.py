"""Where the page's moments come from: a live run (live.py) or a session (recorded.py)."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Picture:
    """One camera's picture as it was taken."""

    number: int
    capture_ns: int
    jpeg: bytes


class Source(Protocol):
    """Gives a moment and its pictures. Times are the run's CLOCK_MONOTONIC ns; None: the newest there is."""

    live: bool

    def moment(self, at_ns: int | None) -> str:
        """The JSON of runtime/console/view.py."""
        ...

    def picture(self, camera: str, at_ns: int | None) -> Picture | None:
        """What a camera showed; None: nothing yet."""
        ...
