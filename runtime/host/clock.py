"""Monotonic time, fixed-rate waiting and labels by the wall clock. Wall-clock time is only ever a label.
Used by everything that stamps, waits or compares times.

A process on another machine than the robot (runtime/remote) gives the robot's time: its own clock plus an offset.
"""

import mmap
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

NS_PER_S = 1_000_000_000
_MOST_SPIN_NS = 150_000
"""The last stretch before a deadline, at most. Measured on an idle machine: a sleep ends 80 to 100 us late."""
_LONGER_NS, _SHORTER_NS = 20_000, 1_000
"""By how much it grows after a sleep that ended too late, and shrinks after one that did not. Chosen: one of twenty is late."""


FOLLOWED = "VIDEO2ACT_CLOCK"
"""Environment: the file that Offset writes, where this process follows another machine's clock."""
_offset: memoryview | None = None


def robot_time_ns() -> int:
    """The robot's CLOCK_MONOTONIC in nanoseconds, the one time base of all its processes."""
    return time.monotonic_ns() if _offset is None else time.monotonic_ns() + _offset[0]


class Offset:
    """How far the robot's clock is ahead of this machine's: eight bytes in a file that processes here follow."""

    def __init__(self, path: Path) -> None:
        with path.open("w+b") as file:
            file.write(bytes(8))
            file.flush()
            self._place = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")

    def set(self, offset_ns: int) -> None:
        """Change it for all processes that follow this file, from the next time that they read the clock."""
        self._place[0] = offset_ns


def follow() -> None:
    """Follow the clock that the environment names, if it does; called once, where a process begins."""
    global _offset
    if path := os.environ.get(FOLLOWED):
        with Path(path).open("r+b") as file:
            _offset = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")


def wall_clock_label() -> str:
    """Local date and time for names and metadata, never for arithmetic."""
    return datetime.now(UTC).astimezone().strftime("%Y-%m-%dT%H-%M-%S")


def seconds(duration_s: float) -> int:
    """Nanoseconds of a duration in seconds."""
    return round(duration_s * NS_PER_S)


class Rate:
    """Absolute deadlines `period_ns` apart, waited for one after the other.

    `exact`: the last stretch before a deadline is spun, as long as sleeps end late on this machine.
    """

    def __init__(self, rate_hz: float, now: Callable[[], int] = robot_time_ns, exact: bool = False) -> None:
        self.period_ns = round(NS_PER_S / rate_hz)
        self._now = now
        self._spin_ns = _MOST_SPIN_NS if exact else 0
        self._exact = exact
        self.deadline_ns = now() + self.period_ns
        self.missed = 0

    def wait(self, idle: Callable[[int], None] | None = None) -> int:
        """Wait for the next deadline; missed ones are skipped and counted, so lateness never accumulates.

        Args:
            idle: Called with the time until which it may work, ns; must return before.

        Returns:
            The deadline, ns, also when it is past.
        """
        deadline_ns = self.deadline_ns
        if idle is not None:
            idle(deadline_ns - self._spin_ns)
        remaining_ns = deadline_ns - self._now() - self._spin_ns
        if remaining_ns > 0:
            time.sleep(remaining_ns / NS_PER_S)
        if self._exact:
            late = self._now() > deadline_ns
            self._spin_ns = min(max(self._spin_ns + (_LONGER_NS if late else -_SHORTER_NS), 0), _MOST_SPIN_NS)
        while self._now() < deadline_ns:
            pass
        late_periods = (self._now() - deadline_ns) // self.period_ns
        self.missed += late_periods
        self.deadline_ns = deadline_ns + (late_periods + 1) * self.period_ns
        return deadline_ns
