"""Six joints come in three CAN frames: tells when all of one set are there, in order and close together.

Used by drivers/piper.py and drivers/piper_leader.py for every frame of joints, of feedback and of targets.
"""

from collections import deque
from collections.abc import Sequence

_WHOLE_S = 0.004
"""The three frames of a set come within this, by the bus adapter's clock. Chosen: at 1 Mbit/s they take 0.4 ms; the next set
begins after 5 ms."""
_WATCHED = 20  # sets of which the torn ones are counted; chosen: 100 ms, in which a fault has to show


class Triple:
    """Puts the frames of three ids together, and counts the sets that were not whole."""

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids = tuple(ids)
        self._seen: list[int] = []
        self._began_s = 0.0
        self.began_ns = 0
        """When the first frame of the newest set arrived, CLOCK_MONOTONIC."""
        self._torn: deque[bool] = deque(maxlen=_WATCHED)

    def whole(self, number: int, sent_s: float, now_ns: int) -> bool:
        """Note a frame of one of the ids, sent at `sent_s` by the adapter's clock. Returns whether it completed a set."""
        if number == self._ids[0]:
            if self._seen:
                self._torn.append(True)
            self._seen, self._began_s, self.began_ns = [number], sent_s, now_ns
            return False
        self._seen.append(number)
        if number != self._ids[-1]:
            return False
        torn = tuple(self._seen) != self._ids or not 0 <= sent_s - self._began_s < _WHOLE_S
        self._torn.append(torn)
        self._seen = []
        return not torn

    @property
    def torn(self) -> int:
        """How many of the newest sets lacked a frame, had them out of order or too far apart."""
        return sum(self._torn)

    @property
    def watched(self) -> int:
        """How many sets `torn` is counted among: the newest 20, fewer at the beginning."""
        return len(self._torn)
