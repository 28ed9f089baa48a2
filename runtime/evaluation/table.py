"""Success rates as the paper's Table 1 gives them: mean and spread over the repeats, with an interval for all rollouts.
Called by command.py and sweep.py.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from math import sqrt
from statistics import mean, median, stdev
from typing import Any, get_type_hints

from pydantic import ConfigDict, create_model
from scipy.stats import binomtest, norm

from drivers.sim.failures import FAILURES
from runtime.evaluation.rollouts import Episode
from runtime.host.means import mean_known

_CLASS_WIDTH = 11  # of a column of failures; chosen
_DERIVED = ("rate", "spread", "successes", "rollouts", "failure_counts")  # written beside a row's own values


@dataclass(frozen=True)
class Row:
    """One task under one policy, over all its rollouts."""

    task: str
    rates: tuple[float, ...]  # of the repeats, 0..1
    low: float  # Wilson interval of all rollouts
    high: float
    seconds: float  # median until success
    condition_age_s: float
    holds: float  # per rollout
    faults: int
    limited_share: float
    wall_s: float  # per rollout
    outcomes: tuple[bool, ...]  # of each scene, by its seed
    failures: tuple[str, ...] = ()  # likewise, the class of its failure, empty for a success; (): none was recorded
    runs_per_s: float | None = None  # of System 1, while the arms ran; None: none ran, or not recorded
    actions_per_s: float | None = None  # targets of its chunks

    @property
    def successes(self) -> int:
        """How many scenes were done."""
        return sum(self.outcomes)

    @property
    def rollouts(self) -> int:
        """How many scenes were played, in all repeats."""
        return len(self.outcomes)

    @property
    def rate(self) -> float:
        """The share of scenes that were done: the mean over the repeats, 0 to 1."""
        return mean(self.rates)

    @property
    def spread(self) -> float | None:
        """Standard deviation over the repeats; None of one, which has none."""
        return _spread(self.rates)

    @property
    def failure_counts(self) -> dict[str, int]:
        """How many scenes failed in each class that occurs, the first class first."""
        counted = Counter(self.failures)
        return {name: counted[name] for name in FAILURES if counted[name]}

    def to_json(self) -> dict[str, Any]:
        """Plain values; the outcomes as a text of ones and zeros, in the order of the seeds."""
        derived = {name: getattr(self, name) for name in _DERIVED}
        return self.__dict__ | derived | {"outcomes": "".join(str(int(done)) for done in self.outcomes)}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "Row":
        """A row from the values that `to_json` gave, also before failures and rates of System 1 were recorded; figures that
        follow from others are computed again.

        Raises KeyError, TypeError or ValueError for others.
        """
        own: dict[str, Any] = {
            field.name: plain[field.name] if field.default is MISSING else plain.get(field.name, field.default)
            for field in fields(cls)
        }
        reported = {"0": False, "1": True}
        own.update(rates=tuple(own["rates"]), outcomes=tuple(reported[done] for done in plain["outcomes"]))
        own.update(failures=tuple(own["failures"]))
        if not own["outcomes"] or not own["rates"]:
            raise ValueError("a task without scenes")
        if own["failures"] and len(own["failures"]) != len(own["outcomes"]):
            raise ValueError("failures of other scenes")
        kinds: dict[str, Any] = {name: (kind, ...) for name, kind in get_type_hints(cls).items()}
        strict = create_model("Row", __config__=ConfigDict(strict=True, allow_inf_nan=False), **kinds)
        return cls(**strict.model_validate(own).__dict__)


def row(task: str, repeats: Sequence[Sequence[Episode]]) -> Row:
    """The row of one task's episodes, given by repeat."""
    episodes = [episode for repeat in repeats for episode in repeat]
    done = [episode.outcome.seconds for episode in episodes if episode.outcome.success]
    ages = [age for episode in episodes for age in episode.outcome.condition_ages_s]
    low, high = wilson(len(done), len(episodes))
    return Row(
        task=task,
        rates=tuple(mean(float(episode.outcome.success) for episode in repeat) for repeat in repeats),
        low=low,
        high=high,
        seconds=median(done) if done else 0.0,
        condition_age_s=median(ages) if ages else 0.0,
        holds=mean(episode.outcome.holds for episode in episodes),
        faults=sum(bool(episode.outcome.fault) for episode in episodes),
        limited_share=mean(episode.outcome.limited_share for episode in episodes),
        wall_s=mean(episode.wall_s for episode in episodes),
        outcomes=tuple(episode.outcome.success for episode in episodes),
        failures=tuple(episode.outcome.failure for episode in episodes),
        runs_per_s=_per_s([(episode.outcome.runs, episode.outcome.seconds) for episode in episodes]),
        actions_per_s=_per_s([(episode.outcome.actions, episode.outcome.seconds) for episode in episodes]),
    )


def joined(rows: Sequence[Row]) -> Row:
    """One task under policies that were trained alike, as if it were one with more repeats."""
    low, high = wilson(sum(row.successes for row in rows), sum(row.rollouts for row in rows))
    return Row(
        task=rows[0].task,
        rates=tuple(rate for row in rows for rate in row.rates),
        low=low,
        high=high,
        seconds=median([row.seconds for row in rows if row.successes] or [0.0]),
        condition_age_s=median(row.condition_age_s for row in rows),
        holds=mean(row.holds for row in rows),
        faults=sum(row.faults for row in rows),
        limited_share=mean(row.limited_share for row in rows),
        wall_s=mean(row.wall_s for row in rows),
        outcomes=tuple(outcome for row in rows for outcome in row.outcomes),
        failures=tuple(kind for row in rows for kind in row.failures) if all(row.failures for row in rows) else (),
        runs_per_s=mean_known([row.runs_per_s for row in rows]),
        actions_per_s=mean_known([row.actions_per_s for row in rows]),
    )


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a rate (Wilson 1927)."""
    found = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def paired(one: Sequence[bool], other: Sequence[bool]) -> float:
    """How likely two policies alike would differ as much as this on the same scenes (McNemar 1947, exact, two-sided)."""
    if len(one) != len(other):
        raise ValueError(f"both must have the same number of scenes, got {len(one)} and {len(other)}")
    only_one = sum(a and not b for a, b in zip(one, other, strict=True))
    only_other = sum(b and not a for a, b in zip(one, other, strict=True))
    apart = only_one + only_other
    return float(binomtest(only_one, apart).pvalue) if apart else 1.0


def paired_interval(only_one: int, only_other: int, scenes: int) -> tuple[float, float]:
    """The 95 % interval of the other's rate less the one's on the same scenes (Agresti and Min 2005: Wald's, with half a
    scene added to each of the four outcomes of a pair).

    Args:
        only_one: Scenes that only the one did.
        only_other: Scenes that only the other did.
        scenes: All that both played.

    Returns:
        Lowest and highest difference, -1 to 1.
    """
    total, apart, more = scenes + 2, only_one + only_other + 1, only_other - only_one
    half = float(norm.ppf(0.975)) * sqrt(apart - more**2 / total) / total
    return max(-1.0, more / total - half), min(1.0, more / total + half)


def lines(rows: Sequence[Row]) -> list[str]:
    """The table as text: of each task how many scenes were done of how many, and their 95 % interval."""
    names = (
        ("done", 10),
        ("success", 10),
        ("interval", 11),
        ("repeats", 9),
        ("time", 8),
        ("cond. age", 11),
        ("limited", 9),
        ("holds", 7),
        ("faults", 8),
        ("wall", 8),
    )
    head = f"{'task':<26}" + "".join(f"{name:>{width}}" for name, width in names)
    body = [
        f"{r.task:<26}{_rate(r.successes, r.rollouts)}{_plus_minus(r.spread)}"
        f"{_done_after(r):>8}{1e3 * r.condition_age_s:>8.0f} ms{100 * r.limited_share:>8.0f}%{r.holds:>7.1f}{r.faults:>8}"
        f"{r.wall_s:>7.1f}s"
        for r in rows
    ]
    if len(rows) == 1:
        return [head, *body]
    of_repeats = tuple(mean(rates) for rates in zip(*(row.rates for row in rows), strict=True))
    done, played = sum(row.successes for row in rows), sum(row.rollouts for row in rows)
    return [head, *body, f"{'all':<26}{_rate(done, played)}{_plus_minus(_spread(of_repeats))}"]


def failure_lines(rows: Sequence[Row]) -> list[str]:
    """How many scenes of each task failed in which class; no lines where none failed, or none was classified."""
    of = [row for row in rows if row.failure_counts]
    if not of:
        return []
    head = f"{'failures':<26}" + "".join(f"{name:>{_CLASS_WIDTH}}" for name in FAILURES)
    counted = [(row.task, row.failure_counts) for row in of]
    if len(of) > 1:
        counted.append(("all", dict(sum((Counter(row.failure_counts) for row in of), Counter[str]()))))
    return [
        head,
        *(f"{task:<26}" + "".join(f"{counts.get(n, 0):>{_CLASS_WIDTH}}" for n in FAILURES) for task, counts in counted),
    ]


def _per_s(counts: Sequence[tuple[int, float]]) -> float | None:
    """Counts of episodes over their seconds; None where nothing was counted."""
    total, time_s = sum(count for count, _ in counts), sum(time for _, time in counts)
    return total / time_s if total and time_s else None


def _done_after(row: Row) -> str:
    """The median time until success, or a dash where there was none."""
    return f"{row.seconds:.1f}s" if row.successes else "-"


def _rate(successes: int, trials: int) -> str:
    low, high = wilson(successes, trials)
    return (
        f"{f'{successes}/{trials}':>10}{100 * successes / trials:>8.1f} %{f'{100 * low:.0f}..{100 * high:.0f} %':>11}"
    )


def _plus_minus(spread: float | None) -> str:
    return f"{'' if spread is None else f'± {100 * spread:.1f}':>9}"


def _spread(rates: Sequence[float]) -> float | None:
    return stdev(rates) if len(rates) > 1 else None
