"""The command `evaluate.sh`: success rates of a policy in simulation, on a virtual clock; the paper's ablations with --sweep.
Called by runtime/cli.py.

Further flags are the settings of robot.sh (--ratio, --policy.checkpoint, --trajectory.blend ...). The same line gives the same
figures again on one machine and build.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drivers.sim.fixed_start import FixedStart
from drivers.sim.shift_suites import SUITES
from runtime.config import data_flags
from runtime.config.loading import public_settings_json, settings_of, settings_to_json
from runtime.config.output_paths import make_folder
from runtime.config.policy import policy_id
from runtime.config.profile import merge
from runtime.config.settings import Settings
from runtime.evaluation import compare, film, hand_paths, results, sweep, table
from runtime.evaluation.clock_rates import check_rates
from runtime.evaluation.flags import EVALUATE, EvaluateFlags
from runtime.evaluation.latencies import Latencies, of_bench
from runtime.evaluation.rollouts import Episode, Job, play
from runtime.evaluation.variants import PATHS, SWEEPS
from runtime.host.machine import describe
from runtime.host.next_step import say_next
from runtime.host.processors import usable_processors
from runtime.host.progress import bar
from runtime.host.revision import revision
from runtime.host.terminal import say
from runtime.host.worker_pool import WorkerPool

_AT_ONCE = 2  # episodes in a job; chosen: so few that all workers end together
_FILM_EVERY = 3  # pictures: ten a second, as film.py plays them
_OF_ROLLOUTS = (
    "ratio", "pacing", "shift", "seed", "instruction", "cameras", "system1", "system2", "trajectory", "safety", "arms",
)  # fmt: skip
Finished = Callable[[list[table.Row], str], None]  # the rows so far and the policy's id


def _nothing(_rows: list[table.Row], _checkpoint_id: str) -> None:
    """A `Finished` for whoever waits for all rows: does nothing."""


def main(arguments: list[str]) -> int:
    """Evaluate, or run a sweep, and write tables, films and plots. Called by runtime/cli.py; returns 0."""
    options, given = EVALUATE.read(arguments)
    reading, given = data_flags.parted(given)
    if options.compare:
        return _compare(options)
    if options.filmed:
        make_folder(options.films, "--films")
    names, given = options.played, given if options.expert else _with_what_the_server_says(given)
    latencies = _latencies(options)
    with WorkerPool("evaluate", options.workers or _usual_workers(given), options.ray) as pool:

        def evaluated(more: Sequence[str], finished: Finished = _nothing) -> tuple[list[table.Row], str]:
            by_task = {task: _settings(given, more, task) for task in names}
            return evaluate(pool, by_task, _latencies(options, more), options, finished)

        if options.sweep is not None:
            alike = _Alike(given, names, options, evaluated, pool)
            if options.sweep == PATHS:
                hand_paths.run(options, alike, data_flags.words(reading))
            else:
                sweep.run(options.sweep, options, alike, data_flags.words(reading))
            say(f"video2act: {options.out / options.sweep}.json and .png written")
            _say_next_after(arguments, options)
            return 0
        settings = _settings(given, (), names[0])

        def finished(rows: list[table.Row], checkpoint_id: str) -> None:
            if options.json_file is not None:
                _write(options.json_file, rows, settings, latencies, options, checkpoint_id)

        if not options.expert:
            say(f"video2act: policy {_which(settings)}")
        rows, _ = evaluated((), finished)
    say("\n".join([*table.lines(rows), *table.failure_lines(rows)]))
    if options.expert:
        say_next(
            "evaluate the policy on the same scenes", "evaluate", *(word for word in arguments if word != "--expert")
        )
    else:
        say_next("watch it", "robot", *EVALUATE.tree_words(arguments, data_flags.NAMES), "--task", names[0])
    return 0


def _say_next_after(arguments: Sequence[str], options: EvaluateFlags) -> None:
    """What to do after a sweep."""
    if options.sweep is None or options.sweep == PATHS:
        words = EVALUATE.tree_words(arguments, data_flags.NAMES)
        say_next("watch a rollout", "robot", *words, "--task", options.played[0])
    else:
        say_next("run another ablation", "evaluate", *_again(arguments, options.sweep))


def _again(arguments: Sequence[str], done: str) -> list[str]:
    """The line that runs the sweep after this one."""
    names = [name for name in SWEEPS if name != PATHS]  # which has flags of its own
    follows = names[(names.index(done) + 1) % len(names)]
    return [
        follows if before == "--sweep" else f"--sweep={follows}" if word == f"--sweep={done}" else word
        for before, word in zip(("", *arguments), arguments, strict=False)
    ]


@dataclass(frozen=True)
class _Alike:
    """Evaluates a sweep's variants; sweep.Evaluation and hand_paths.Scenes."""

    given: dict[str, Any]
    tasks: Sequence[str]
    options: EvaluateFlags
    evaluated: Callable[[Sequence[str]], tuple[list[table.Row], str]]
    pool: WorkerPool

    def protocol(self, more: Sequence[str]) -> dict[str, Any]:
        settings = _settings(self.given, more, self.tasks[0])
        return {
            "checkpoint": "expert" if self.options.expert else policy_id(settings),
            "tasks": list(self.tasks),
            "settings": hashlib.sha256(json.dumps(_of_rollouts(settings)).encode()).hexdigest()[:16],
            "latencies": _latencies(self.options, more).__dict__,
            "rollouts": self.options.of_repeat,
            "repeats": self.options.times,
            "first_seed": self.options.seed,
            **({} if self.options.swap == "none" else {"swap": self.options.swap}),
            **({} if settings.shift == "none" else {"suites": SUITES}),
        }

    def rows(self, more: Sequence[str]) -> list[table.Row]:
        return self.evaluated(more)[0]

    def episodes(self, more: Sequence[str], seeds: Sequence[int], fixed: FixedStart) -> Iterable[Episode]:
        text = settings_to_json(_settings(self.given, more, self.tasks[0]))
        swap, latencies = self.options.swap == "system2", _latencies(self.options, more)
        job = Job(text, latencies, (), self.options.expert, swap=swap, fixed=fixed)
        jobs = [replace(job, seeds=tuple(part)) for part in _parts(seeds)]
        return (episode for result in self.pool.results(play, jobs) for episode in result.episodes)


def evaluate(
    pool: WorkerPool, by_task: dict[str, Settings], latencies: Latencies, options: EvaluateFlags,
    finished: Finished = _nothing,
) -> tuple[list[table.Row], str]:  # fmt: skip
    """Play all episodes of all tasks.

    Args:
        pool: Whose workers play them.
        by_task: Settings by task.
        latencies: How long systems and cameras take.
        options: Seeds, repeats, films.
        finished: Called with the rows so far whenever a task is done.

    Returns:
        One row a task, and the policy's id.
    """
    jobs = [job for settings in by_task.values() for job in _jobs(settings, latencies, options)]
    found: dict[tuple[str, int], Episode] = {}
    rows: dict[str, table.Row] = {}
    checkpoint_id, of_task = "", options.of_repeat * options.times
    with bar(len(by_task) * of_task, "evaluate", "rollout") as progress:
        for result in pool.results(play, jobs):
            checkpoint_id = result.checkpoint_id
            found |= {(result.task, episode.seed): episode for episode in result.episodes}
            progress.update(len(result.episodes))
            for episode in result.episodes:
                if episode.outcome.film:
                    film.write(options.films, result.task, episode)
            if sum(task == result.task for task, _ in found) == of_task:
                rows[result.task] = table.row(result.task, _by_repeat(result.task, found, options))
                finished([rows[task] for task in by_task if task in rows], checkpoint_id)
    if options.film_examples:
        _film_examples(pool, by_task, found, latencies, options)
    return [rows[task] for task in by_task], checkpoint_id


def _jobs(settings: Settings, latencies: Latencies, options: EvaluateFlags) -> list[Job]:
    """All episodes of one task, the filmed ones first."""
    text = settings_to_json(settings)
    seeds = options.scenes
    chosen = [*seeds[: options.film], *options.film_seeds]
    swap = options.swap == "system2"
    filmed = [Job(text, latencies, (seed,), options.expert, _FILM_EVERY, swap) for seed in dict.fromkeys(chosen)]
    rest = [seed for seed in seeds if seed not in chosen]
    return filmed + [Job(text, latencies, tuple(part), options.expert, swap=swap) for part in _parts(rest)]


def _parts(seeds: Sequence[int]) -> list[Sequence[int]]:
    """The seeds of a job each."""
    return [seeds[first : first + _AT_ONCE] for first in range(0, len(seeds), _AT_ONCE)]


def _film_examples(
    pool: WorkerPool, by_task: dict[str, Settings], found: dict[tuple[str, int], Episode], latencies: Latencies,
    options: EvaluateFlags,
) -> None:  # fmt: skip
    """Play each task's first success and first failure again, which gives the same, and film them."""
    jobs: list[Job] = []
    for task, settings in by_task.items():
        verdicts = {seed: episode.outcome.success for (name, seed), episode in sorted(found.items()) if name == task}
        seeds = [next((seed for seed, done in verdicts.items() if done is wanted), None) for wanted in (True, False)]
        text = settings_to_json(settings)
        jobs += [
            Job(text, latencies, (s,), options.expert, _FILM_EVERY, options.swap == "system2")
            for s in seeds
            if s is not None
        ]
    for result in pool.results(play, jobs):
        film.write(options.films, result.task, result.episodes[0])


def _by_repeat(task: str, found: dict[tuple[str, int], Episode], options: EvaluateFlags) -> list[list[Episode]]:
    firsts = range(options.seed, options.seed + options.of_repeat * options.times, options.of_repeat)
    return [[found[task, seed] for seed in range(first, first + options.of_repeat)] for first in firsts]


def _write(
    path: Path, rows: Sequence[table.Row], settings: Settings, latencies: Latencies, options: EvaluateFlags,
    checkpoint_id: str,
) -> None:  # fmt: skip
    record: dict[str, Any] = {
        "rows": [row.to_json() for row in rows],
        "mean": sum(row.rate for row in rows) / len(rows),
        "ratio": settings.ratio,
        "shift": settings.shift,
        "suites": SUITES,
        "swap": options.swap,
        "checkpoint": checkpoint_id,
        "latencies": latencies.__dict__,
        "rollouts": options.of_repeat,
        "repeats": options.times,
        "first_seed": options.seed,
        "settings": _of_rollouts(settings),
        "revision": revision(),
        "machine": describe(),
    }
    path.write_text(json.dumps(record, indent=1) + "\n")


def _settings(given: dict[str, Any], more: Sequence[str], task: str) -> Settings:
    """The settings of a task: the policy's, with what flags and a sweep's variant change; refused before anything is loaded."""
    settings = settings_of(merge(merge(given, EVALUATE.read(more)[1]), {"task": task}))
    check_rates(settings)
    return settings


def _with_what_the_server_says(given: dict[str, Any]) -> dict[str, Any]:
    """What flags give, with all that a policy's server says of itself, which is asked once; without a server as it is."""
    settings = settings_of(given)
    if not settings.policy.server:
        return given
    from runtime.policy.server_door import asked

    wire = asked(settings).policy.wire.model_dump(exclude_none=True)
    return merge(given, {"policy": {"server": settings.policy.server, "wire": wire}})


def _usual_workers(given: dict[str, Any]) -> int:
    """One a core; one for a policy server, of which many serve one client at a time."""
    return 1 if settings_of(given).policy.server else usable_processors()


def _which(settings: Settings) -> str:
    """The policy that is evaluated, in words."""
    policy = settings.policy
    if policy.server:
        return f"{policy_id(settings)} at {policy.server}"
    if policy.checkpoint is not None:
        return f"{policy_id(settings)} in {policy.checkpoint}"
    return f"of size {policy.size} with random weights; give a trained one with --policy.checkpoint"


def _of_rollouts(settings: Settings) -> dict[str, Any]:
    """The settings that rollouts depend on; where the policy lies on this machine is none of them."""
    reported = json.loads(public_settings_json(settings))
    return {name: reported[name] for name in _OF_ROLLOUTS}


def _latencies(options: EvaluateFlags, more: Sequence[str] = ()) -> Latencies:
    """The latencies of a sweep's variant (its flags are `more`), of the line, of a bench's file, or the usual ones of the
    small policy on two cores.
    """
    times: dict[str, float] = {}
    if options.bench is not None:
        times = of_bench(options.bench)
    for source in (options, EVALUATE.read(more)[0]):
        given = {name: getattr(source, name) for name in ("system1_s", "system2_s")}
        times |= {name: value for name, value in given.items() if value is not None}
    return Latencies.of(times)


def _compare(options: EvaluateFlags) -> int:
    """Compare two files, and write the comparison to --json. Returns 0."""
    a, b = (results.read(path) for path in options.files)
    found = compare.compare(a, b)
    say("\n".join(compare.lines(a, b, found)))
    if options.json_file is not None:
        options.json_file.write_text(json.dumps(compare.to_json(a, b, found), indent=1) + "\n")
    if (apart := compare.first_apart(a, b)) is not None:
        shift = () if a.shift == "none" else ("--shift", a.shift)
        scene = ("--task", apart[0], "--seed", str(apart[1]), "--rollouts", "1", "--repeats", "1", "--film", "1")
        say_next("film the first scene that only one of them did", "evaluate", *scene, *shift)
    else:
        say_next("evaluate on further scenes", "evaluate", "--seed", str(1 + max(map(max, a.outcomes.values()))))
    return 0
