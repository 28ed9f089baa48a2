"""Two machines' clocks compared by question and answer. Deterministic.
Called by gpu_side.py.

The robot's time lies between question and answer; the answer that came fastest tells it best, and an old one drifts (Cristian's
algorithm).
"""

from collections import deque
from dataclasses import dataclass, field

_KEPT = 400  # answers: 20 s at twenty a second (gpu_side.py); chosen: by then drift outweighs the fastest answer
_ENOUGH = 20  # chosen: one second's
_DRIFT = 100e-6  # of two quartz clocks, at most (50 ppm each): an old answer is so much less certain


@dataclass
class Comparison:
    """The newest answers: when they came (ns, here), how far the robot is ahead (ns), how uncertain that was (ns)."""

    answers: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def add(self, asked_ns: int, reported_ns: int, came_ns: int) -> int:
        """Note an answer.

        Args:
            asked_ns: When the question left, here.
            reported_ns: What the robot's clock said.
            came_ns: When the answer came, here.

        Returns:
            How far the robot's clock is ahead, ns, by the best answer of the last 20 s.
        """
        self.answers.append((came_ns, reported_ns - (asked_ns + came_ns) // 2, (came_ns - asked_ns) // 2))
        return min(self.answers, key=self._uncertainty)[1]

    @property
    def settled(self) -> bool:
        """Whether twenty answers came: before that the clock is not used."""
        return len(self.answers) >= _ENOUGH

    @property
    def uncertain_ns(self) -> int:
        """By how much the best answer may be wrong now, ns."""
        return round(min(map(self._uncertainty, self.answers), default=0))

    def _uncertainty(self, answer: tuple[int, int, int]) -> float:
        came_ns, _, uncertain_ns = answer
        return uncertain_ns + _DRIFT * (self.answers[-1][0] - came_ns)
