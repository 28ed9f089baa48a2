"""Six joints come in three CAN frames: tells when all of one set are there, in order and close together."""

from collections import deque
from collections.abc import Sequence

_WHOLE_S = 0.004  # the three frames of a set come within this, by the bus adapter's clock
_WATCHED = 20  # sets: 100 ms


class Triple:
    """Watches the frames of three consecutive ids."""

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids = tuple(ids)
        self._seen: list[int] = []
        self._began_s = 0.0
        self.began_ns = 0
        """When the first frame of the newest set arrived, CLOCK_MONOTONIC."""
        self._torn: deque[bool] = deque(maxlen=_WATCHED)

    def whole(self, number: int, sent_s: float, now_ns: int) -> bool:
        """Note a frame, of one of the ids. Returns whether it completed a set."""
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
        """How many of the newest `watched` sets were not whole."""
        return sum(self._torn)

    @property
    def watched(self) -> int:
        """Sets that `torn` is counted among."""
        return len(self._torn)
