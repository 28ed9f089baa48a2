"""Compares what came of a row's injections with its figures. Deterministic; called by matrix.py and table.py."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from runtime.faults.row import Robot, Row, Sample

_OVER = 1 + 1e-6  # of a limit: what float64 loses in second differences
_MOVES_RAD_S = 0.1  # an arm that is slower has nothing to brake; as inject.py waits for


@dataclass
class Verdict:
    """A row with all of its samples, and what of it is missed, a line each."""

    row: Row
    robot: Robot
    samples: list[Sample] = field(default_factory=list[Sample])
    missed: list[str] = field(default_factory=list[str])


@dataclass
class Outcome:
    """What came of the whole matrix."""

    verdicts: list[Verdict] = field(default_factory=list[Verdict])
    sessions: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """What is wrong with the runs' sessions: the robot's name, and a line."""


def judge(verdict: Verdict) -> None:
    """Fill in what is missed by the samples."""
    row, samples, slack_ms = verdict.row, verdict.samples, verdict.robot.slack_ms
    miss = verdict.missed
    miss += dict.fromkeys(sample.wrong for sample in samples if sample.wrong)
    samples = [sample for sample in samples if not sample.wrong]
    if not samples:
        return
    if row.says:
        miss += _late(
            "reported", f"no report of {row.says!r}", [one.seen_ms for one in samples], row.seen_ms + slack_ms
        )
    miss += _reaction(row, samples, row.held_ms + slack_ms)
    if row.reaction != "end":
        miss += _late("RUNNING again", "not RUNNING again", [one.back_ms for one in samples], row.back_s * 1e3)
    for name, most in row.most.items():
        measured = [one.measured[name] for one in samples if name in one.measured]
        if len(measured) < len(samples):
            miss.append(f"{name}: not measured in {len(samples) - len(measured)} of {len(samples)}")
        elif max(measured) > most:
            miss.append(f"{name} {max(measured):.0f} (limit {most:.0f})")
    for name in row.kept:
        if any(name in one.restarted for one in samples):
            miss.append(f"{name} was started again")
    for name in sorted({name for one in samples for name in one.shares}):
        worst = max(one.shares.get(name, 0.0) for one in samples)
        if worst > _OVER:
            miss.append(f"the motors saw {worst:.2f} times the limit of {name}")


def _reaction(row: Row, samples: Sequence[Sample], most_ms: float) -> list[str]:
    held = [one.held_ms for one in samples]
    match row.reaction:
        case "none":
            return [f"the arms left their mode: {one.held_said}" for one in samples if one.held_ms is not None][:1]
        case "bus":
            moved = [one.held_ms for one in samples if one.moving_rad_s > _MOVES_RAD_S]
            return _late("braking", "no braking was seen", moved, most_ms)
        case "end":
            return _late("held", "the arms did not hold", held, most_ms)
        case "hold":
            unnamed = [one.held_said for one in samples if one.held_ms is not None and one.because_ms is None]
            named = [f"the arms held for another reason: {said}" for said in unnamed[:1]]
            return named + _late("held", "the arms did not hold", held, most_ms)


def _late(what: str, never: str, values: Sequence[float | None], most: float) -> list[str]:
    if any(value is None for value in values):
        return [f"{never} in {sum(value is None for value in values)} of {len(values)}"]
    worst = max((value for value in values if value is not None), default=0.0)
    return [f"{what} after {worst:.0f} ms (limit {most:.0f})"] if worst > most else []


def figures(samples: Sequence[Sample], of: Callable[[Sample], float | None]) -> tuple[float, float] | None:
    """Median and worst of what was measured; None: nothing was."""
    values = [value for value in map(of, samples) if value is not None]
    return (float(np.median(values)), max(values)) if values else None
