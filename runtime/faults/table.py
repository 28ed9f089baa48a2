"""The matrix as lines for a terminal and as plain values for JSON. Called by matrix.py and command.py."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from runtime.faults.judge import Outcome, Verdict, figures
from runtime.faults.row import Sample

HEAD = (
    f"  {'fault':<36}{'reported ms':>18}{'held ms':>18}{'running again ms':>18}{'of the limits':>15}{'lost':>6}   report\n"
    f"  {'':<36}{'median':>9}{'worst':>9}{'median':>9}{'worst':>9}{'median':>9}{'worst':>9}"
)


def line(verdict: Verdict) -> str:
    """One row: its figures, and what was reported."""
    samples = verdict.samples
    times = (_pair(samples, "seen_ms"), _pair(samples, "held_ms"), _pair(samples, "back_ms"))
    share = max((share for one in samples for share in one.shares.values()), default=None)
    others = sum(one.others for one in samples)
    note = f" ({others} holds for another reason, repeated)" if others else ""
    said = next((one.said for one in samples if one.said), "")
    lost = sum(one.lost for one in samples)
    mark = "!" if verdict.missed else " "
    return (
        f"{mark} {verdict.row.name:<36}{''.join(times)}"
        f"{'' if share is None else f'{share:.2f}':>15}{lost:>6}   {said[:70]}{note}"
    )


def _pair(samples: Sequence[Sample], name: str) -> str:
    found = figures(samples, lambda sample: getattr(sample, name))
    return f"{'-':>9}{'-':>9}" if found is None else f"{found[0]:>9.0f}{found[1]:>9.0f}"


def misses(outcome: Outcome) -> list[str]:
    """Which rows miss their figures and why, and what is wrong with the sessions, a line each."""
    rows = [f"{verdict.row.name}: {missed}" for verdict in outcome.verdicts for missed in verdict.missed]
    return rows + [f"{robot}: {found}" for robot, found in dict.fromkeys(outcome.sessions)]


def plain(verdict: Verdict) -> dict[str, Any]:
    """A row as it is written to JSON."""
    row, samples = verdict.row, verdict.samples
    names = ("seen_ms", "held_ms", "back_ms")
    found = {name: figures(samples, lambda sample, name=name: getattr(sample, name)) for name in names}
    return {
        "robot": verdict.robot.name,
        "figures": {"seen_ms": row.seen_ms, "held_ms": row.held_ms, "back_ms": row.back_s * 1e3} | dict(row.most),
        "reaction": row.reaction,
        **{name: pair and {"median": pair[0], "worst": pair[1]} for name, pair in found.items()},
        "missed": verdict.missed,
        "samples": [asdict(sample) for sample in samples],
    }
