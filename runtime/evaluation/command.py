"""The command `evaluate.sh`: success rates of a policy in simulation, on a virtual clock; the paper's ablations with --sweep.

Further flags are the settings of robot.sh (--ratio, --policy.checkpoint, --trajectory.blend ...). The same line gives the same
figures again on one machine and build.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from drivers.errors import DriverError
from drivers.sim.tasks import named
from drivers.sim.tasks.task import KEPT_FROM
from runtime.config import command_line
from runtime.config.policy import policy_id
from runtime.config.settings import Settings, load_settings, public_settings_json, settings_to_json
from runtime.errors import SettingsError
from runtime.evaluation import film, sweep, table
from runtime.evaluation.rollouts import Episode, Job, play
from runtime.evaluation.variants import SWEEPS
from runtime.evaluation.world import Latencies
from runtime.host.machine import describe
from runtime.host.revision import revision
from runtime.host.terminal import say
from runtime.host.worker_pool import WorkerPool

_AT_ONCE = 2  # episodes in an order: small enough that all workers end together
_FILM_EVERY = 3  # pictures: ten a second
_OF_ROLLOUTS = (
    "ratio", "pacing", "shift", "seed", "instruction", "cameras", "system1", "system2", "trajectory", "safety", "arms",
)  # fmt: skip
Finished = Callable[[list[table.Row], str], None]  # the rows so far and the policy's id


def _nothing(_rows: list[table.Row], _checkpoint_id: str) -> None:
    """For whoever waits for all rows."""


def main(arguments: list[str]) -> int:
    """The command."""
    parser = _parser()
    own, flags = command_line.without_settings(parser, arguments)
    options = command_line.parse(parser, own)
    options.rollouts = options.rollouts or (50 if options.sweep is None else 20)
    options.repeats = options.repeats or (3 if options.sweep is None else 1)
    films = bool(options.film or options.film_seeds or options.film_examples)
    if options.expert and films:
        raise SettingsError(
            "--film, --film-seeds, --film-examples: the expert is not filmed; leave out --expert, or these"
        )
    seeds = _seeds(options)
    for seed in options.film_seeds:
        if seed not in seeds:
            raise SettingsError(f"--film-seeds {seed}: is not played; scenes are {seeds[0]} to {seeds[-1]}")
    if options.sweep is not None and options.json is not None:
        raise SettingsError(
            f"--json {options.json}: a sweep writes OUT/{options.sweep}.json; leave it out, and give --out"
        )
    if films:
        command_line.make_folder(options.films, "--films")
    if options.json is not None:
        command_line.check_writable(options.json, "--json")
    tasks = _tasks(options.task)
    latencies = _latencies(options)
    with WorkerPool("evaluate", options.workers, options.ray) as pool:

        def evaluated(more: Sequence[str], finished: Finished = _nothing) -> tuple[list[table.Row], str]:
            by_task = {task: load_settings([*flags, *more, "--task", task]) for task in tasks}
            return evaluate(pool, by_task, latencies, options, finished)

        if options.sweep is not None:
            sweep.run(options.sweep, options, _Alike(flags, tasks, latencies, options, evaluated))
            return 0
        settings = load_settings([*flags, "--task", tasks[0]])

        def finished(rows: list[table.Row], checkpoint_id: str) -> None:
            if options.json is not None:
                _write(options.json, rows, settings, latencies, options, checkpoint_id)

        if not options.expert:
            say(f"video2act: policy {_which(settings)}")
        rows, _ = evaluated((), finished)
    say("\n".join(table.lines(rows)))
    return 0


@dataclass(frozen=True)
class _Alike:
    """Evaluates a sweep's variants; sweep.Evaluation."""

    flags: Sequence[str]
    tasks: Sequence[str]
    latencies: Latencies
    options: argparse.Namespace
    evaluated: Callable[[Sequence[str]], tuple[list[table.Row], str]]

    def protocol(self, more: Sequence[str]) -> dict[str, Any]:
        settings = load_settings([*self.flags, *more, "--task", self.tasks[0]])
        return {
            "checkpoint": "expert" if self.options.expert else policy_id(settings),
            "tasks": list(self.tasks),
            "settings": hashlib.sha256(json.dumps(_of_rollouts(settings)).encode()).hexdigest()[:16],
            "latencies": self.latencies.__dict__,
            "rollouts": self.options.rollouts,
            "repeats": self.options.repeats,
            "first_seed": self.options.seed,
        }

    def rows(self, more: Sequence[str]) -> list[table.Row]:
        return self.evaluated(more)[0]


def evaluate(
    pool: WorkerPool, by_task: dict[str, Settings], latencies: Latencies, options: argparse.Namespace,
    finished: Finished = _nothing,
) -> tuple[list[table.Row], str]:  # fmt: skip
    """The rows of all tasks, and which policy it was. `finished` is told them whenever another task is through."""
    jobs = [job for settings in by_task.values() for job in _jobs(settings, latencies, options)]
    found: dict[tuple[str, int], Episode] = {}
    rows: dict[str, table.Row] = {}
    checkpoint_id, of_task = "", options.rollouts * options.repeats
    with tqdm(total=len(by_task) * of_task, desc="evaluate", unit="rollout") as progress:
        for result in pool.results(play, jobs):
            checkpoint_id = result.checkpoint_id
            found |= {(result.task, episode.seed): episode for episode in result.episodes}
            progress.update(len(result.episodes))
            for episode in result.episodes:
                if episode.outcome.film and options.films is not None:
                    film.write(options.films, result.task, episode)
            if sum(task == result.task for task, _ in found) == of_task:
                rows[result.task] = table.row(result.task, _by_repeat(result.task, found, options))
                finished([rows[task] for task in by_task if task in rows], checkpoint_id)
    if options.film_examples:
        _film_examples(pool, by_task, found, latencies, options)
    return [rows[task] for task in by_task], checkpoint_id


def _jobs(settings: Settings, latencies: Latencies, options: argparse.Namespace) -> list[Job]:
    """All episodes of one task, the filmed ones first."""
    text = settings_to_json(settings)
    seeds = _seeds(options)
    chosen = [*seeds[: options.film], *options.film_seeds]
    filmed = [Job(text, latencies, (seed,), options.expert, _FILM_EVERY) for seed in dict.fromkeys(chosen)]
    rest = [seed for seed in seeds if seed not in chosen]
    parts = [rest[first : first + _AT_ONCE] for first in range(0, len(rest), _AT_ONCE)]
    return filmed + [Job(text, latencies, tuple(part), options.expert) for part in parts]


def _seeds(options: argparse.Namespace) -> range:
    """Of all scenes of a task."""
    return range(options.seed, options.seed + options.rollouts * options.repeats)


def _film_examples(
    pool: WorkerPool, by_task: dict[str, Settings], found: dict[tuple[str, int], Episode], latencies: Latencies,
    options: argparse.Namespace,
) -> None:  # fmt: skip
    """Play each task's first success and first failure again, which gives the same, and film them."""
    jobs: list[Job] = []
    for task, settings in by_task.items():
        verdicts = {seed: episode.outcome.success for (name, seed), episode in sorted(found.items()) if name == task}
        seeds = [next((seed for seed, done in verdicts.items() if done is wanted), None) for wanted in (True, False)]
        text = settings_to_json(settings)
        jobs += [Job(text, latencies, (s,), options.expert, _FILM_EVERY) for s in seeds if s is not None]
    for result in pool.results(play, jobs):
        film.write(options.films, result.task, result.episodes[0])


def _by_repeat(task: str, found: dict[tuple[str, int], Episode], options: argparse.Namespace) -> list[list[Episode]]:
    firsts = range(options.seed, options.seed + options.rollouts * options.repeats, options.rollouts)
    return [[found[task, seed] for seed in range(first, first + options.rollouts)] for first in firsts]


def _write(
    path: Path, rows: Sequence[table.Row], settings: Settings, latencies: Latencies, options: argparse.Namespace,
    checkpoint_id: str,
) -> None:  # fmt: skip
    record: dict[str, Any] = {
        "rows": [row.to_json() for row in rows],
        "mean": sum(row.rate for row in rows) / len(rows),
        "ratio": settings.ratio,
        "shift": settings.shift,
        "checkpoint": checkpoint_id,
        "latencies": latencies.__dict__,
        "rollouts": options.rollouts,
        "repeats": options.repeats,
        "first_seed": options.seed,
        "settings": _of_rollouts(settings),
        "revision": revision(),
        "machine": describe(),
    }
    path.write_text(json.dumps(record, indent=1) + "\n")


def _which(settings: Settings) -> str:
    """The policy that is evaluated, for whoever forgot to name it."""
    policy = settings.policy
    if policy.checkpoint is not None:
        return f"{policy_id(settings)} in {policy.checkpoint}"
    return f"of size {policy.size} with random weights; --policy.checkpoint names one that was trained"


def _of_rollouts(settings: Settings) -> dict[str, Any]:
    """The settings that rollouts depend on; where the policy lies on this machine is none of them."""
    reported = json.loads(public_settings_json(settings))
    return {name: reported[name] for name in _OF_ROLLOUTS}


def _tasks(text: str) -> list[str]:
    try:
        return named(text)
    except DriverError as error:
        raise SettingsError(f"--task: {error}") from None


def _latencies(options: argparse.Namespace) -> Latencies:
    """Given, out of a bench's file, or the small policy's on two cores."""
    times: dict[str, float] = {}
    if options.bench is not None:
        try:
            measured = json.loads(options.bench.read_text())["both_at_once_1_to_8"]
            times = {f"{name}_s": measured[f"{name}_p50_ms"] / 1e3 for name in ("system1", "system2")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingsError(
                f"--bench {options.bench}: no record of ./launch/bench.sh --models ({error!r:.60})"
            ) from None
    given = {name: getattr(options, name) for name in ("system1_s", "system2_s") if getattr(options, name) is not None}
    return Latencies.of(times | given)


def _parser() -> command_line.Parser:
    parser = command_line.parser("evaluate.sh", __doc__)
    parser.add_argument("--task", default="all", help="one, several with commas, or all")
    parser.add_argument("--rollouts", type=command_line.whole(1, 10_000), help="of a repeat; 50, in a sweep 20")
    parser.add_argument("--repeats", type=command_line.whole(1, 100), help="3, in a sweep 1")
    parser.add_argument("--sweep", choices=tuple(SWEEPS), help="an ablation of the paper")
    parser.add_argument(
        "--out", type=Path, default=Path("sweeps"), metavar="DIR", help="sweep: tables, plots, policies"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="sweep: demonstrations to train on")
    parser.add_argument("--video", type=Path, metavar="DIR", help="sweep: checkpoint of stage 1")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="sweep: of prepared demonstrations; default OUT/cache"
    )
    parser.add_argument("--train-steps", type=command_line.whole(1, 10**8), default=6000, help="sweep: of each policy")
    parser.add_argument(
        "--train-seeds",
        type=command_line.several(command_line.whole(0, 2**31 - 1)),
        default=(0,),
        metavar="N,...",
        help="sweep: a policy each of every variant; 0",
    )
    parser.add_argument(
        "--variants", type=command_line.several(str), default=(), metavar="NAME,...", help="sweep: these alone"
    )
    parser.add_argument(
        "--processes", type=command_line.whole(1, 64), default=1, help="sweep: that train together, as in train.sh"
    )
    parser.add_argument(
        "--seed", type=command_line.whole(KEPT_FROM, 10**9), default=KEPT_FROM, help="of the first scene"
    )
    parser.add_argument("--expert", action="store_true", help="the scripted expert instead of a policy")
    parser.add_argument("--system1-s", type=float, help="declared latency of System 1")
    parser.add_argument("--system2-s", type=float, help="declared latency of System 2")
    parser.add_argument(
        "--bench", type=Path, metavar="FILE", help="take both from a record of bench.sh --models --json"
    )
    parser.add_argument(
        "--film", type=command_line.whole(0, 10_000), default=0, help="record the first episodes of a task"
    )
    parser.add_argument(
        "--film-seeds",
        type=command_line.several(command_line.whole(KEPT_FROM, 2 * 10**9)),
        default=(),
        metavar="N,...",
        help="record the episodes of these scenes",
    )
    parser.add_argument(
        "--film-examples", action="store_true", help="film the first success and the first failure of each task"
    )
    parser.add_argument("--films", type=Path, default=Path("films"), metavar="DIR", help="where to")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures, task by task as they come")
    parser.add_argument("--workers", type=command_line.whole(1, 256), default=os.cpu_count())
    parser.add_argument("--ray", metavar="ADDRESS", help="rollouts on a Ray cluster; local: a new one on this machine")
    return parser
