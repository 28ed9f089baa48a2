"""The paper's ablations: variants of one thing, evaluated alike, as a table, a plot and plain statements.
Called by command.py.

Where the policy differs, one is trained for each variant and seed, on the same demonstrations with the same small budget
(`evaluate.sh --sweep features --data DIR --video DIR --train-seeds 0,1`). Sweeps with one --out share the policies and the
figures that they have in common.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any, Protocol

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from runtime.config.output_paths import make_folder
from runtime.errors import SettingsError
from runtime.evaluation import table
from runtime.evaluation.flags import EvaluateFlags
from runtime.evaluation.sweep_plot import plot
from runtime.evaluation.sweep_training import trained, training_of
from runtime.evaluation.table import Row
from runtime.evaluation.variants import PATHS, SWEEPS, asked
from runtime.host import plain_file
from runtime.host.machine import describe
from runtime.host.means import mean_known
from runtime.host.revision import revision
from runtime.host.terminal import say

_LARGEST_BYTES = 16 << 20  # of a sweep's file; chosen: a record takes some KB
_SIGNIFICANT, _DPI = 0.05, 120  # the usual level of a test; dots an inch of a plot, chosen


class _Record(BaseModel):
    """One variant in the file of a sweep, as far as it is read again."""

    variant: str
    protocol: dict[str, Any]
    tasks: list[dict[str, Any]] = Field(min_length=1)
    made_by: str = ""  # revision and machine; empty where an older record does not tell


_RECORDS = TypeAdapter(list[_Record])


class Evaluation(Protocol):
    """How variants are evaluated, all alike."""

    def protocol(self, more: Sequence[str]) -> dict[str, Any]:
        """Everything that the figures under these further settings depend on, as it would be read from JSON."""
        ...

    def rows(self, more: Sequence[str]) -> list[Row]:
        """Evaluate all tasks under further settings; one row a task."""
        ...


@dataclass(frozen=True)
class Result:
    """What a variant reached on each task, and under which settings."""

    variant: str
    protocol: dict[str, Any]
    rows: list[Row]
    made_by: str = ""  # revision and machine; empty where an older record does not tell

    @property
    def train_seed(self) -> int | None:
        """Which training this was; None where no variant has a policy of its own."""
        training = self.protocol.get("training")
        return None if training is None else int(training["seed"])

    @property
    def outcomes(self) -> tuple[bool, ...]:
        """Whether each scene was done, of all tasks one after the other."""
        return tuple(outcome for row in self.rows for outcome in row.outcomes)

    @property
    def rate(self) -> float:
        """The share of scenes that were done, over all tasks."""
        return mean(self.outcomes)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the rate over all tasks."""
        return table.wilson(sum(self.outcomes), len(self.outcomes))

    @property
    def runs_per_s(self) -> float | None:
        """Runs of System 1 a second, the mean over the tasks; None where they are not known."""
        return mean_known([row.runs_per_s for row in self.rows])

    @property
    def actions_per_s(self) -> float | None:
        """Targets in its chunks a second, likewise."""
        return mean_known([row.actions_per_s for row in self.rows])


def run(name: str, options: EvaluateFlags, evaluation: Evaluation, data: Sequence[str] = ()) -> list[Result]:
    """Train what has to be trained, evaluate, write `OUT/NAME.json` (after each policy) and `.png`, say what held.

    What stands in that file already, or in another sweep's in OUT, of the same policy and settings, is taken over. The
    results are those of all seeds together.
    """
    path = options.out / f"{name}.json"
    earlier = {other: _earlier(options.out / f"{other}.json") for other in SWEEPS if other != PATHS}
    rest, results = earlier[name], list[Result]()
    found = [one for results_of in earlier.values() for one in results_of.values()]
    make_folder(options.out, "--out")
    for variant, seed in asked(name, options):
        folder = trained(variant, seed, options, data)
        flags = [*variant.settings, *(() if folder is None else ("--policy.checkpoint", str(folder / "checkpoint")))]
        protocol = evaluation.protocol(flags) | ({} if folder is None else {"training": training_of(folder)})
        known = next((one for one in found if one.protocol == protocol), None)
        if known is None:
            result = Result(variant.name, protocol, evaluation.rows(flags), f"{revision()}, {describe()}")
        else:
            result = replace(known, variant=variant.name)
        results.append(result)
        of_seed = "" if len(options.train_seeds) == 1 or seed is None else f", seed {seed}"
        again = "" if known is None else f" (evaluated before by {known.made_by or 'an unknown revision'})"
        done = f"{sum(result.outcomes)}/{len(result.outcomes)}"
        say(f"{name}: {variant.name}{of_seed}: {done}, {100 * result.rate:.1f} %{again}")
        rest.pop((variant.name, seed), None)
        path.write_text(json.dumps(_record([*results, *rest.values()]), indent=1) + "\n")
    names = {variant.name for variant in SWEEPS[name]}
    kept = [one for one in rest.values() if one.variant in names]  # of an earlier call, with other seeds or variants
    path.write_text(json.dumps(_record([*results, *kept]), indent=1) + "\n")
    together = over_seeds(results)
    plot(name, together).savefig(options.out / f"{name}.png", dpi=_DPI)
    say("\n".join(lines(together, rated=name == "ratio")))
    said = [line for own in by_series(name, together) for line in statements(own)]
    say("\n".join(said))
    if len(together) < len(results):
        say("\n".join(by_training(results)))
    return together


def over_seeds(results: Sequence[Result]) -> list[Result]:
    """One result a variant: the scenes of all trainings, one training after the other."""
    by_variant: dict[str, list[Result]] = {}
    for result in results:
        by_variant.setdefault(result.variant, []).append(result)
    return [
        Result(variant, own[0].protocol, [table.joined(rows) for rows in zip(*(one.rows for one in own), strict=True)])
        for variant, own in by_variant.items()
    ]


def _earlier(path: Path) -> dict[tuple[str, int | None], Result]:
    """By variant and training's seed, what an earlier call of the sweep found."""
    try:
        records = _RECORDS.validate_python(plain_file.json_value(path, _LARGEST_BYTES), strict=True)
        results = [
            Result(one.variant, one.protocol, [Row.from_json(row) for row in one.tasks], one.made_by) for one in records
        ]
        return {(result.variant, result.train_seed): result for result in results}
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"])) or "all of it"
        raise SettingsError(f"{path}: not a record of a sweep ({place} is invalid); give another --out") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        why = str(error) if isinstance(error, ValueError) else "a row is invalid"
        raise SettingsError(f"{path}: not a record of a sweep ({why:.80}); give another --out") from None


def by_series(name: str, results: Sequence[Result]) -> list[list[Result]]:
    """The results that vary the same thing: those of one sweep, but where it has several series."""
    series = {variant.name: variant.series for variant in SWEEPS[name]}
    return [
        [result for result in results if series[result.variant] == one]
        for one in dict.fromkeys(series[result.variant] for result in results)
    ]


def lines(results: Sequence[Result], rated: bool = False) -> list[str]:
    """The ablation as a table, a column a task; `rated`: with runs and actions of System 1 a second."""
    tasks = [row.task for row in results[0].rows]
    widest = max(len(result.variant) for result in results)
    widths = [max(len(task), 12) + 2 for task in tasks]
    columns = "".join(f"{task:>{width}}" for task, width in zip(tasks, widths, strict=True))
    head = f"{'':<{widest}}{columns}{'all':>11}{'':>9}{'95 %':>11}" + (
        f"{'runs/s':>9}{'actions/s':>11}" if rated else ""
    )
    body = [
        f"{result.variant:<{widest}}"
        + "".join(
            f"{f'{row.successes}/{row.rollouts}':>{width}}" for row, width in zip(result.rows, widths, strict=True)
        )
        + f"{f'{sum(result.outcomes)}/{len(result.outcomes)}':>11}{100 * result.rate:>7.1f} %"
        + f"{f'{100 * result.interval[0]:.0f}..{100 * result.interval[1]:.0f} %':>11}"
        + (f"{_known(result.runs_per_s, 2):>9}{_known(result.actions_per_s, 0):>11}" if rated else "")
        for result in results
    ]
    return [head, *body]


def _known(value: float | None, digits: int) -> str:
    """A number, or a dash where it is not known: an expert has no runs, an older record does not tell them."""
    return "-" if value is None else f"{value:.{digits}f}"


def statements(results: Sequence[Result]) -> list[str]:
    """What the figures say of each variant against the first, on the same scenes."""
    first = results[0]
    said: list[str] = []
    for other in results[1:]:
        points = 100 * (other.rate - first.rate)
        chance = table.paired(first.outcomes, other.outcomes)
        verdict = "a significant difference" if chance < _SIGNIFICANT else "no significant difference"
        said.append(f"{other.variant} against {first.variant}: {points:+.1f} points, {verdict} (p = {chance:.2g})")
    return said


def by_training(results: Sequence[Result]) -> list[str]:
    """The same statements training by training: scenes of one policy are alike, so several trainings tell more than many
    scenes.
    """
    seeds = sorted({result.train_seed for result in results if result.train_seed is not None})
    alike = {seed: [result for result in results if result.train_seed == seed] for seed in seeds}
    return [f"seed {seed}: {said}" for seed, own in alike.items() for said in statements(own)]


def _record(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [
        {
            "variant": result.variant,
            "protocol": result.protocol,
            "made_by": result.made_by,
            "rate": result.rate,
            "interval": result.interval,
            "scenes": len(result.outcomes),
            "successes": sum(result.outcomes),
            "runs_per_s": result.runs_per_s,
            "actions_per_s": result.actions_per_s,
            "tasks": [row.to_json() for row in result.rows],
        }
        for result in results
    ]
