"""Observations of the last moments, for policies that see more than one: those nearest to the times that they learnt from.
Used by policy.py.

Clients ask as often as they please. Where they ask less often than the policy's rate, the newest observation stands for those
that nobody sent: arms that seem to stand still, not arms that move several times as fast.
"""

from collections import deque
from typing import Generic, TypeVar

Seen = TypeVar("Seen")


class History(Generic[Seen]):
    """What was seen, newest last."""

    def __init__(self, count: int, dt_s: float) -> None:
        """`count` observations, `dt_s` apart."""
        self._ages_s = [place * dt_s for place in reversed(range(count))]
        self._kept_s = count * dt_s
        self._seen: deque[tuple[float, Seen]] = deque()

    def clear(self) -> None:
        """Forget all."""
        self._seen.clear()

    def add(self, now_s: float, seen: Seen) -> list[Seen]:
        """Keep what is seen now.

        Args:
            now_s: Of a clock that only rises.
            seen: The newest.

        Returns:
            One observation for each age, oldest first; the newest is last.
        """
        self._seen.append((now_s, seen))
        while self._seen[0][0] < now_s - self._kept_s:
            self._seen.popleft()
        return [min(reversed(self._seen), key=lambda one: abs(now_s - age_s - one[0]))[1] for age_s in self._ages_s]
