"""Whether this machine makes runs as often as asked, by the first second of them once all processes have loaded.
Deterministic. Fed by the status line, asked by robot.py; the bench suggests a period by the same rule.

A run is measured with everything else beside it: what a network takes alone says little on a machine with few cores.
"""

import math
from dataclasses import dataclass

from runtime.config.settings import Settings
from runtime.host.clock import NS_PER_S, seconds
from runtime.messaging import messages

BUSY_SHARE = (
    0.75  # of its period that a run of System 1 may take; chosen: a quarter is left for pictures and other processes
)
_MEASURED_NS = NS_PER_S
_FEWEST = 4  # runs; chosen: one that was kept waiting is not the third longest of four
_MOST_ROUNDS = 3  # chosen: a longer period takes load off the machine, so runs get shorter; twice is enough to settle
_USUAL = 0.5  # quantile of the measured runs; the longest of a second says more of other programs than of this machine


@dataclass(frozen=True)
class Found:
    """What the first second showed."""

    lines: tuple[str, ...]
    """For the operator; empty: the machine keeps to the period it was given."""
    period_ns: int
    """That System 1 keeps to from now on; 0: that of the settings."""


def fitting_period_s(run_s: float, frame_hz: float) -> float:
    """The shortest period, of whole frames, that leaves a quarter of the time free.

    Args:
        run_s: What a run of System 1 takes, from its newest picture to its chunk.
        frame_hz: Of the camera whose frames begin the runs.
    """
    frame_s = 1 / frame_hz
    return frame_s * max(1, math.ceil(run_s / BUSY_SHARE / frame_s))


class Pace:
    """Feed it chunks and conditions; ask in every loop. It answers once, and again after a change of an automatic period."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runs_ns: list[int] = []
        self._slow_ns = 0  # of System 2's last run
        self._since_ns = 0  # the first chunk's arrival
        self._period_s, self._rounds = settings.system1.first_period_s, _MOST_ROUNDS
        self._automatic = settings.system1.period_s == "auto"

    def hear(self, message: messages.Message, now_ns: int) -> None:
        """Note how long a run of either system took."""
        if isinstance(message, messages.ActionChunk) and self._rounds:
            self._since_ns = self._since_ns or now_ns
            self._runs_ns.append(
                message.timing.finished_ns - message.frame_returned_ns
            )  # what it waited for counts too
        elif isinstance(message, messages.Conditions):
            self._slow_ns = message.timing.finished_ns - message.stamp_ns

    def found(self, now_ns: int) -> Found | None:
        """What was found, a second after the first chunk, or as soon as there are enough of them; None: not yet, or no more."""
        if not self._rounds or len(self._runs_ns) < _FEWEST or now_ns - self._since_ns < _MEASURED_NS:
            return None
        run_s = sorted(self._runs_ns)[int(_USUAL * len(self._runs_ns))] / NS_PER_S
        self._runs_ns, self._since_ns = [], 0
        needed_s = fitting_period_s(run_s, self._settings.cameras.head.rate_hz)
        if self._automatic:
            return self._adapted(run_s, needed_s)
        self._rounds = 0
        return Found(self._given(run_s, needed_s) + self._beyond(run_s, needed_s) + self._slow_system(), 0)

    def _adapted(self, run_s: float, needed_s: float) -> Found:
        """The period that fits; measured again as long as it changes."""
        first, before_s = self._rounds == _MOST_ROUNDS, self._period_s
        longest_s = self._settings.safety.max_chunk_age_s / 2  # the other half is the run's own time
        self._period_s = max(self._settings.system1.first_period_s, min(needed_s, longest_s))
        changed = self._period_s != before_s
        self._rounds = self._rounds - 1 if changed else 0
        lines = self._auto(run_s) if first or changed else ()
        return Found(lines + self._last(run_s, needed_s), seconds(self._period_s))

    def _last(self, run_s: float, needed_s: float) -> tuple[str, ...]:
        """What no other period mends, once there is nothing left to try."""
        return () if self._rounds else self._beyond(run_s, needed_s) + self._slow_system()

    def _auto(self, run_s: float) -> tuple[str, ...]:
        return (
            f"a run of System 1 takes {_ms(run_s)} here: one every {self._period_s:.3g} s (--system1.period_s auto)",
        )

    def _given(self, run_s: float, needed_s: float) -> tuple[str, ...]:
        """That the period asked for is too short."""
        wanted_s = self._period_s
        if run_s <= BUSY_SHARE * wanted_s:
            return ()
        if server := self._settings.policy.server:
            return (
                f"{server}: a chunk takes {_ms(run_s)}, --system1.period_s {wanted_s:g} leaves {_ms(BUSY_SHARE * wanted_s)}; "
                f"set --system1.period_s auto or {needed_s:.3g}",
            )
        return (
            f"this machine is too slow for --system1.period_s {wanted_s:g}: a run of System 1 takes {_ms(run_s)} "
            f"(limit {_ms(BUSY_SHARE * wanted_s)}); end other programs, or set --system1.period_s auto or {needed_s:.3g}",
        )

    def _beyond(self, run_s: float, needed_s: float) -> tuple[str, ...]:
        """That no period helps: a chunk is too old before the next one comes."""
        limit_s = self._settings.safety.max_chunk_age_s
        if needed_s + run_s <= limit_s:
            return ()
        if server := self._settings.policy.server:
            return (
                f"{server}: chunks get {needed_s + run_s:.2g} s old (limit --safety.max_chunk_age_s {limit_s:g}), so the arms "
                "will hold; use a quicker server, or raise that limit",
            )
        return (
            f"this machine is too slow for this policy: chunks get {needed_s + run_s:.2g} s old "
            f"(limit --safety.max_chunk_age_s {limit_s:g}), so the arms will hold; use a GPU or a smaller policy",
        )

    def _slow_system(self) -> tuple[str, ...]:
        """That System 2 takes longer than its n runs of System 1."""
        slow_s, ratio, period_s = self._slow_ns / NS_PER_S, self._settings.ratio, self._period_s
        if slow_s <= ratio * period_s:
            return ()
        return (
            f"this machine is too slow for --ratio {ratio}: System 2 takes {slow_s:.2g} s, {ratio} runs of System 1 take "
            f"{ratio * period_s:.2g} s; set --ratio {math.ceil(slow_s / period_s)}",
        )


def _ms(duration_s: float) -> str:
    return f"{1000 * duration_s:.0f} ms"
