"""What is told again and again becomes one line and a count. Deterministic.
Called by the status line.

Two texts are alike when they differ in figures only.
"""

from dataclasses import dataclass, field

from runtime.host.clock import NS_PER_S
from runtime.host.figures import without_figures

_WINDOW_NS = 10 * NS_PER_S  # as often as a line without a terminal (status_line.py)


@dataclass
class _Reported:
    until_ns: int
    more: int = 0  # that came since it was shown
    newest: str = ""


@dataclass
class Repeats:
    """The texts of the last ten seconds, by their form without figures."""

    _reported: dict[str, _Reported] = field(default_factory=dict[str, _Reported])

    def is_new(self, text: str, now_ns: int) -> bool:
        """Whether a text is to be shown now; a text like one of the last ten seconds is counted instead."""
        alike = without_figures(text)
        if alike not in self._reported:
            self._reported[alike] = _Reported(now_ns + _WINDOW_NS)
            return True
        self._reported[alike].more += 1
        self._reported[alike].newest = text
        return False

    def summaries(self, now_ns: int) -> list[str]:
        """A line for each text whose ten seconds are over and that came again: how often, and the newest one."""
        over = {alike: reported for alike, reported in self._reported.items() if now_ns >= reported.until_ns}
        for alike, reported in over.items():
            if reported.more:  # it goes on: the next ten seconds are counted again
                self._reported[alike] = _Reported(now_ns + _WINDOW_NS)
            else:
                del self._reported[alike]
        seconds = _WINDOW_NS // NS_PER_S
        return [
            f"repeated {'once' if reported.more == 1 else f'{reported.more} times'} in {seconds} s: {reported.newest}"
            for reported in over.values()
            if reported.more
        ]
