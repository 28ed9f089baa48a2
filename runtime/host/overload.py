"""Whether a machine is too slow for what runs on it: by what comes late, and by how busy its processors are.
Asked by whoever would blame a late message, a torn reading or a silent process on a cable or a crash.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

from runtime.host.clock import NS_PER_S
from runtime.host.processors import usable_processors

LATE_TICK_MS = 5.0  # of the arms, p99: a whole period of 200 Hz
LAG_MS = 50.0  # of the simulated physics behind the clock: the arms hold on feedback of that age
LOOP_MS = 50.0  # of a loop without priority that comes round every 50 ms: one whole round
GAP_MS = 250.0  # between two heartbeats, sent every 50 ms; chosen: four missed, one more than makes a process `stopped`
REMEDY = "end other programs, lower --cameras.NAME.rate_hz or raise --system1.period_s"
_STALL_MS = 20.0  # chosen: a sleep ends 0.1 ms late on an idle machine and 2.4 ms with both cores busy (measured)
_BLAMED_NS = NS_PER_S
"""What comes late this long after a stall comes of it. Chosen: the longest age the arms judge (`max_supervision_age_s`)."""
_IDLE, _WAITS_FOR_DISK, _STOLEN, _TOTAL = 3, 4, 7, 8
"""Places in the first line of /proc/stat (proc(5)), and how many of them count: guests stand there twice."""


@dataclass(frozen=True)
class Pressure:
    """How busy the processors are, over all cores this process may use."""

    cores: int
    load: float  # threads that run or wait, over the last minute
    busy_percent: float  # since the last look
    stolen_percent: float  # by the hypervisor, since the last look

    def __str__(self) -> str:
        stolen = f", {self.stolen_percent:.0f} % stolen by the hypervisor" if self.stolen_percent >= 1 else ""
        return f"load {self.load:.1f} on {self.cores} cores, {self.busy_percent:.0f} % busy{stolen}"


@dataclass
class Processors:
    """Measures the processors' use; shares are those of the time since the last `check`, or since this was made."""

    stat: Path = Path("/proc/stat")
    load: Path = Path("/proc/loadavg")
    _last: list[int] = field(default_factory=list[int])

    def __post_init__(self) -> None:
        self._last = self._ticks()

    def check(self) -> Pressure:
        """How busy they were since the last call. Reads /proc/stat and /proc/loadavg; does not wait."""
        ticks = self._ticks()
        passed = [after - before for after, before in zip(ticks, self._last, strict=True)]
        self._last, total = ticks, sum(passed)
        idle, stolen = passed[_IDLE] + passed[_WAITS_FOR_DISK], passed[_STOLEN]
        busy_percent, stolen_percent = (100 * (total - idle) / total, 100 * stolen / total) if total else (0.0, 0.0)
        return Pressure(usable_processors(), float(self.load.read_text().split()[0]), busy_percent, stolen_percent)

    def _ticks(self) -> list[int]:
        return [int(ticks) for ticks in self.stat.read_text().splitlines()[0].split()[1 : 1 + _TOTAL]]


def symptoms(
    late_tick_ms: float = 0.0, lag_ms: float = 0.0, late_loop_ms: float = 0.0, gaps: dict[str, float] | None = None
) -> str:
    """What only a machine without time explains.

    Args:
        late_tick_ms: How late the arms' ticks come, 99th percentile.
        lag_ms: How far the physics is behind, 99th percentile.
        late_loop_ms: How late an ordinary loop comes round, 99th percentile.
        gaps: The longest silence of each process, ms.

    Returns:
        Each value above its limit, with that limit; empty: the machine keeps up.
    """
    silent = {name: gap_ms for name, gap_ms in (gaps or {}).items() if gap_ms > GAP_MS}
    found = [
        f"arms ticks {late_tick_ms:.0f} ms late (p99, limit {LATE_TICK_MS:.0f} ms)"
        if late_tick_ms > LATE_TICK_MS
        else "",
        f"physics {lag_ms:.0f} ms behind (p99, limit {LAG_MS:.0f} ms)" if lag_ms > LAG_MS else "",
        f"loops without real-time priority {late_loop_ms:.0f} ms late (p99, limit {LOOP_MS:.0f} ms)"
        if late_loop_ms > LOOP_MS
        else "",
    ]
    if len(silent) > 1:  # one alone may hang by itself
        worst = max(silent, key=lambda name: silent[name])
        found.append(f"{len(silent)} processes silent, {worst} for {silent[worst]:.0f} ms (limit {GAP_MS:.0f} ms)")
    return ", ".join(filter(None, found))


@dataclass
class Stall:
    """A loop's own sleeps: one that lasts much longer than asked for says that this process was given no processor."""

    _longest_ms: float = 0.0
    _ended_ns: int = -_BLAMED_NS

    def sleep(self, duration_s: float) -> None:
        """Sleep, and note when it took too long."""
        begun_ns = time.monotonic_ns()
        time.sleep(duration_s)
        self.note(time.monotonic_ns() - begun_ns - round(duration_s * NS_PER_S), time.monotonic_ns())

    def note(self, late_ns: int, now_ns: int) -> None:
        """A wait ended `late_ns` too late, at `now_ns`."""
        if late_ns / 1e6 > _STALL_MS:
            self._longest_ms = max(late_ns / 1e6, self._longest_ms if self._recent(now_ns) else 0.0)
            self._ended_ns = now_ns

    def blamed(self, text: str, now_ns: int) -> str:
        """A text about something late or torn; while this process is kept waiting, with that as its cause and remedy.

        The remedy of the text itself (`...; check the CAN bus`) is for a machine that keeps up.
        """
        if not self._recent(now_ns) or "; check " not in text:
            return text
        found = text.partition("; check ")[0]
        return f"the machine is overloaded (no CPU time for {self._longest_ms:.0f} ms): {found}; {REMEDY}"

    def _recent(self, now_ns: int) -> bool:
        return now_ns - self._ended_ns < _BLAMED_NS
