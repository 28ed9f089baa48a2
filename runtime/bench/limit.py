"""A time limit for the parts of a bench: one that takes too long is left out with a line, and the run goes on.
Used by models.py."""

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager

from runtime.host.clock import robot_time_ns


class TooLong(BaseException):
    """A part ran into its limit. No Exception: whatever a part catches, it must not be this."""


class Allowance:
    """What is left of a bench's time. Only for the main thread: its parts end by an alarm."""

    def __init__(self, whole_s: float, say: Callable[[str], None]) -> None:
        self._ends_ns, self._say = robot_time_ns() + round(whole_s * 1e9), say
        self.left_out: list[str] = []

    @property
    def left_s(self) -> float:
        """Seconds until the end; negative afterwards."""
        return (self._ends_ns - robot_time_ns()) / 1e9

    @contextmanager
    def part(self, name: str, keep_s: float = 0.0) -> Generator[bool]:
        """Say what begins; leave it out where the time is over, and end it when it is.

        Args:
            name: of the part, for the terminal and `left_out`.
            keep_s: time that later parts need.

        Yields:
            Whether there is time for it at all.
        """
        limit_s = self.left_s - keep_s
        if limit_s <= 0:
            self._leave_out(name, "no time is left")
            yield False
            return
        self._say(f"{name} ...")
        before = signal.signal(signal.SIGALRM, _over)
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        try:
            yield True
        except TooLong:
            self._leave_out(name, f"it took more than {limit_s:.0f} s")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _leave_out(self, name: str, why: str) -> None:
        self.left_out.append(name)
        self._say(f"{name}: left out, {why}")


def _over(_signal: int, _frame: object) -> None:
    raise TooLong
