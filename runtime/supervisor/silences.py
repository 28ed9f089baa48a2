"""Processes that fall silent are told one by one, but in one line where an overloaded machine silences several. Deterministic.
Called by the status line once a second, after it has judged the machine.

Whoever stays silent is told by itself all the same: a machine without time gives every process its turn.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from runtime.host.clock import NS_PER_S

_EVERY_NS = 10 * NS_PER_S  # between two lines of several; chosen: as often as what repeats itself (repeated_lines.py)
_STAYS_NS = (
    2 * NS_PER_S
)  # chosen: four times the longest gap between heartbeats that an overloaded machine made (0.5 s)


@dataclass
class Silences:
    """Feed it each silence by the process' name; ask once a second what to tell."""

    _new: dict[str, str] = field(default_factory=dict[str, str])
    _awaited: dict[str, int] = field(default_factory=dict[str, int])  # told in a line of several, at this time
    _several: Counter[str] = field(default_factory=Counter[str])  # since the last such line
    _next_ns: int = 0  # before it there is no other such line

    def note(self, process: str, text: str) -> None:
        """A process fell silent; the text is told unless it becomes one of several."""
        self._new[process] = text

    def lines(self, silent: Mapping[str, str], overloaded: bool, now_ns: int) -> list[str]:
        """What to tell now.

        Args:
            silent: Those that are silent now, each with a text of its own.
            overloaded: Whether the machine is.
            now_ns: CLOCK_MONOTONIC.
        """
        new, self._new = self._new, {}
        reported = self._still(silent, now_ns)
        hangs = len(new) == 1 and new.keys() <= silent.keys() and now_ns >= self._next_ns  # perhaps, and by itself
        if overloaded and not hangs:
            self._several.update(new.keys())
            self._awaited |= {process: now_ns for process in new if process not in self._awaited}
        else:
            reported += new.values()
        if self._several and now_ns >= self._next_ns:
            names = [name if count == 1 else f"{name} ({count} times)" for name, count in sorted(self._several.items())]
            reported.append(f"silent for a moment while the machine is overloaded: {', '.join(names)}")
            self._several.clear()
            self._next_ns = now_ns + _EVERY_NS
        return reported

    def _still(self, silent: Mapping[str, str], now_ns: int) -> list[str]:
        """Whoever was one of several, and has not come back since."""
        self._awaited = {process: since_ns for process, since_ns in self._awaited.items() if process in silent}
        stay = [process for process, since_ns in self._awaited.items() if now_ns - since_ns >= _STAYS_NS]
        for process in stay:
            del self._awaited[process]
        return [silent[process] for process in stay]
