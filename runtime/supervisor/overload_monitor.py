"""Whether the machine keeps up with this run, from what passes on the bus anyway; called by the status line.

The newest of the arms' ticks is read 20 times a second: one in ten tells as much of the 99th percentile over some seconds.
"""

import re
from collections import deque
from collections.abc import Callable

import numpy as np

from runtime.host import overload
from runtime.host.clock import NS_PER_S
from runtime.host.overload import Pressure, Processors
from runtime.messaging import messages

_WINDOW_NS = 5 * NS_PER_S  # chosen: a hundred ticks are read in it, the fewest that tell of a 99th percentile
_SLOW = 0.5  # of the wanted rate, on processors that are busy; chosen: a slow network alone rarely loses half
_FULL_PERCENT = 90.0  # busy; chosen: below it some core was idle most of the time
_FEWEST = 20  # ticks: of fewer there is no percentile; chosen: one second's
_LATENESS = (
    "torn", " old", "no new frame", "late", "behind", "no heartbeat", "no progress", "silent", "has run out",
    "reading jumped", "readings in a row jumped",
)  # fmt: skip
"""Words of verdicts that a machine without time brings about too."""
_REMEDY = re.compile(r"[;.] [Cc]heck ")
_SAID = "the machine is overloaded"
_GUESSED = re.compile(rf": [^:;]*\bor {_SAID}(; end other programs)?")
"""By who cannot know it: `supervisor silent for 1200 ms (limit 1000 ms): hung, or the machine is overloaded`."""


class OverloadMonitor:
    """Feed it ticks, scenes and heartbeats; ask once a second for the verdict."""

    def __init__(self, check: Callable[[], Pressure] | None = None) -> None:
        self._check = check or Processors().check
        self._late_ms: deque[tuple[int, float]] = deque()
        self._lag_ms: deque[tuple[int, float]] = deque()
        self._own_ms: deque[tuple[int, float]] = deque()
        self._gaps: deque[tuple[int, str, float]] = deque()
        self._beats: dict[tuple[str, int], int] = {}  # by process and life
        self._slow: tuple[float, float] | None = None
        self._judged_ns = 0
        self.overloaded_s = 0.0  # of the time since `count_from_now`
        self.first_sign = ""  # the first verdict since then
        self.verdict = ""  # the newest one; empty: the machine keeps up

    def tick(self, target: messages.ArmTarget) -> None:
        """Note how late one tick of the arms began."""
        self._late_ms.append((target.stamp_ns, (target.stamp_ns - target.deadline_ns) / 1e6))

    def scene(self, scene: messages.Scene, now_ns: int) -> None:
        """Note how far the physics was behind."""
        self._lag_ms.append((now_ns, scene.lag_ns / 1e6))

    def own(self, late_ns: int, now_ns: int) -> None:
        """Note how late the supervisor's loop, which has no priority, came round."""
        self._own_ms.append((now_ns, late_ns / 1e6))

    def system1(self, rate_hz: float, wanted_hz: float) -> None:
        """Note how often System 1 runs, of how often it should."""
        self._slow = (rate_hz, wanted_hz) if rate_hz < _SLOW * wanted_hz else None

    def forget(self) -> None:
        """Leave out of all verdicts what was late until now: once all processes have loaded."""
        for kept in (self._late_ms, self._lag_ms, self._own_ms, self._gaps):
            kept.clear()

    def count_from_now(self) -> None:
        """Begin to count for the table at the end, at the first RUNNING."""
        self.overloaded_s, self.first_sign = 0.0, ""

    def beat(self, beat: messages.Heartbeat) -> None:
        """Note a heartbeat. Before its first step a process may be silent: importing holds its threads up on an idle machine
        too.
        """
        life = beat.process, beat.epoch
        if (before := self._beats.get(life)) is not None and beat.stamp_ns > before:
            self._gaps.append((beat.stamp_ns, beat.process, (beat.stamp_ns - before) / 1e6))
        if beat.steps:
            self._beats[life] = beat.stamp_ns

    def judge(self, now_ns: int) -> str:
        """The verdict over the last five seconds, with how busy the processors are; empty: the machine keeps up."""
        pressure, since_ns = self._check(), now_ns - _WINDOW_NS
        for kept in (self._late_ms, self._lag_ms, self._own_ms, self._gaps):
            while kept and kept[0][0] < since_ns:
                kept.popleft()
        gaps: dict[str, float] = {}
        for _, process, gap_ms in self._gaps:
            gaps[process] = max(gap_ms, gaps.get(process, 0.0))
        found = overload.symptoms(_p99(self._late_ms), _p99(self._lag_ms), _p99(self._own_ms), gaps)
        if self._slow is not None and pressure.busy_percent > _FULL_PERCENT:
            found = ", ".join(filter(None, (found, f"system1 {self._slow[0]:.1f} Hz of {self._slow[1]:.1f}")))
        self.verdict = f"{found}; {pressure}" if found else ""
        if found:
            self.overloaded_s += min(now_ns - self._judged_ns, NS_PER_S) / NS_PER_S
            self.first_sign = self.first_sign or self.verdict
        self._judged_ns = now_ns
        return self.verdict

    def attributed(self, *texts: str, beside: bool = False) -> str:
        """Reported texts as one, with the machine as first cause where it is overloaded and that explains one of them.

        The remedies (`...; check the CAN bus`) are left out then: they are for a machine that keeps up. `beside`: the line says
        elsewhere that the machine is overloaded. No line says it twice.
        """
        whole = "; ".join(texts)
        if not self.verdict or not any(word in whole for word in _LATENESS):
            return whole
        found = "; ".join(_REMEDY.split(_GUESSED.sub("", text))[0] for text in texts)
        return found if beside or _SAID in found else f"{_SAID}, which may explain: {found}"


def _p99(series: deque[tuple[int, float]]) -> float:
    return float(np.percentile([value for _, value in series], 99)) if len(series) >= _FEWEST else 0.0
