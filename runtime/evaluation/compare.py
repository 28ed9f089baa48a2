"""Compares two files of `evaluate --json` on the scenes that both played, task by task and all together (`--compare`).
Called by command.py.

A scene is the same in both when task, seed and shift are. Which policy, ratio or latencies made them differ is said beside.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from runtime.evaluation import table
from runtime.evaluation.results import MAY_DIFFER, Results, check_fit


@dataclass(frozen=True)
class Difference:
    """Two policies on the same scenes of a task, or of all."""

    task: str
    scenes: int
    done_a: int
    done_b: int
    only_a: int
    only_b: int
    difference: float  # of the rates, B less A
    low: float  # 95 % interval of the difference
    high: float
    p: float  # McNemar's exact test, two-sided


def compare(a: Results, b: Results) -> list[Difference]:
    """The differences by task, in the first file's order, and of all tasks together where there are several.

    Raises:
        SettingsError: They have no scene in common.
    """
    check_fit(a, b)
    found: list[Difference] = []
    all_a: list[bool] = []
    all_b: list[bool] = []
    for task in a.outcomes:
        seeds = sorted(a.outcomes[task].keys() & b.outcomes.get(task, {}).keys())
        if not seeds:
            continue
        done_a, done_b = ([results.outcomes[task][seed] for seed in seeds] for results in (a, b))
        found.append(difference(task, done_a, done_b))
        all_a += done_a
        all_b += done_b
    return found if len(found) == 1 else [*found, difference("all", all_a, all_b)]


def difference(task: str, a: Sequence[bool], b: Sequence[bool]) -> Difference:
    """What two lists of outcomes on the same scenes say, scene by scene."""
    only_a = sum(one and not other for one, other in zip(a, b, strict=True))
    only_b = sum(other and not one for one, other in zip(a, b, strict=True))
    low, high = table.paired_interval(only_a, only_b, len(a))
    apart = (only_b - only_a) / len(a)
    return Difference(task, len(a), sum(a), sum(b), only_a, only_b, apart, low, high, table.paired(a, b))


def left_out(a: Results, b: Results) -> list[str]:
    """One line for each task of which one file has scenes that the other has not."""
    said: list[str] = []
    for task in dict.fromkeys((*a.outcomes, *b.outcomes)):
        scenes = [results.outcomes.get(task, {}).keys() for results in (a, b)]
        both = len(scenes[0] & scenes[1])
        alone = [(results.path, len(of) - both) for results, of in zip((a, b), scenes, strict=True) if len(of) > both]
        said += [f"{task}: scenes only in {path}, left out: {count}" for path, count in alone]
    return said


def lines(a: Results, b: Results, found: Sequence[Difference]) -> list[str]:
    """The comparison as text."""
    differing = [name for name in MAY_DIFFER if a.made_with[name] != b.made_with[name]]
    head = (
        f"{'task':<26}{'scenes':>8}{'A':>6}{'B':>6}{'only A':>8}{'only B':>8}{'B - A, points':>15}{'95 %':>17}{'p':>10}"
    )
    body = [
        f"{one.task:<26}{one.scenes:>8}{one.done_a:>6}{one.done_b:>6}{one.only_a:>8}{one.only_b:>8}"
        f"{100 * one.difference:>+15.1f}{f'{100 * one.low:+.1f}..{100 * one.high:+.1f}':>17}{one.p:>10.2g}"
        for one in found
    ]
    names = [f"{name}: {of.path} (policy {of.made_with['checkpoint']})" for name, of in (("A", a), ("B", b))]
    return [
        *names,
        f"they differ in: {', '.join(differing) or 'nothing'}; shift: {a.shift}",
        *left_out(a, b),
        head,
        *body,
    ]


def to_json(a: Results, b: Results, found: Sequence[Difference]) -> dict[str, Any]:
    """The comparison in plain values."""
    files = {name: {"file": of.path.name, **of.made_with} for name, of in (("a", a), ("b", b))}
    return {**files, "shift": a.shift, "rows": [asdict(one) for one in found]}


def first_apart(a: Results, b: Results) -> tuple[str, int] | None:
    """Task and seed of the first scene that only one of them did; None: there is none."""
    return next(
        (
            (task, seed)
            for task, outcomes in a.outcomes.items()
            for seed, done in outcomes.items()
            if b.outcomes.get(task, {}).get(seed, done) != done
        ),
        None,
    )
