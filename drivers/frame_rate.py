"""A camera's rate: what is left out of one that is too quick, and when one is too slow or too quick.

Used by drivers/uvc.py, the cameras process and the doctor. A camera may ignore the rate that it was asked for.
"""

import itertools
from collections.abc import Sequence

LEAST_SHARE, MOST_SHARE = 0.9, 1.1
"""Of the rate asked for, that a camera should have. Chosen: four of 45 pictures may be late; a nominal 30 Hz is 29.97."""
REFUSED_SHARE = 0.6
"""With less the arms do not move. Chosen: a camera in the dark gives half its rate; one picture of three lost is a warning."""
_EARLY_SHARE = 0.2
"""Of a period, that a picture may be early. Chosen: stamps of arrival come some milliseconds off; the last picture between of a
camera that is two, three or four times as quick is 0.5, 0.33 or 0.25 early."""
_FOLLOWED_SHARE = (
    0.2  # of an offset, by which the rhythm follows the camera; chosen: one that is 1 % quicker loses nothing
)


def measured_hz(captures_ns: Sequence[int]) -> float:
    """The rate of pictures by the median of their distances, which a single gap does not change; 0 below two."""
    steps_ns = sorted(after - before for before, after in itertools.pairwise(captures_ns))
    return 1e9 / max(1, steps_ns[len(steps_ns) // 2]) if steps_ns else 0.0


class Decimator:
    """Takes of a camera's pictures as many a second as were asked for, by their times of capture; all where they are fewer."""

    def __init__(self, rate_hz: float) -> None:
        self._period_ns = round(1e9 / rate_hz)
        self._due_ns: int | None = None

    def takes(self, capture_ns: int) -> bool:
        """Whether the picture that was taken then is one of them; to be asked once for each, in order."""
        if self._due_ns is None:
            self._due_ns = capture_ns + self._period_ns
            return True
        period_ns, offset_ns = self._period_ns, capture_ns - self._due_ns
        if -2 * period_ns <= offset_ns < -_EARLY_SHARE * period_ns:
            return False
        if offset_ns < -2 * period_ns:  # by another clock
            offset_ns, self._due_ns = 0, capture_ns
        missed = max(0, offset_ns // period_ns)  # the rhythm stays: what follows a late picture is not early
        rest_ns = offset_ns - missed * period_ns
        followed_ns = rest_ns if rest_ns <= period_ns // 2 else rest_ns - period_ns
        self._due_ns += (missed + 1) * period_ns + round(_FOLLOWED_SHARE * followed_ns)
        return True
