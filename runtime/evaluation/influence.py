"""The command `influence.sh`: how far a policy's chunks depend on System 2's tokens, on images and on committed targets.
Called by runtime/cli.py.

Scenes of one task are compared at the same step, with one instruction: what differs is only what they show.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from models.config.policy import PolicyConfig
from models.data.episode import DEMONSTRATION_HZ
from models.data.reading import Reading
from models.influence import OFFSET_RAD, measure
from models.moments import Moment, Scene, moment
from models.policy import InstructionEmbedding
from runtime.config import data_flags
from runtime.config.loading import settings_from_json, settings_of, settings_to_json
from runtime.config.policy import policy_id
from runtime.config.profile import merge
from runtime.config.settings import Settings
from runtime.errors import SettingsError
from runtime.evaluation import influence_table, scenes
from runtime.evaluation.flags import INFLUENCE, InfluenceFlags
from runtime.evaluation.influence_table import Row
from runtime.host.machine import describe
from runtime.host.next_step import say_next
from runtime.host.processors import usable_processors
from runtime.host.progress import bar
from runtime.host.revision import revision
from runtime.host.terminal import say
from runtime.host.worker_pool import WorkerPool
from runtime.policy.networks import fast_system, open_video2act, prepare_torch, slow_system, text_encoder
from runtime.training.flags import tasks

_TRIED = 4  # scenes for each that is wanted; chosen: no expert fails in three of four


@dataclass(frozen=True)
class Job:
    """One task to measure."""

    settings: str  # JSON
    task: str
    data: Path | None
    scenes: int
    first_seed: int
    steps: tuple[int, ...]
    lag_steps: int
    others: int
    reading: Reading


def main(arguments: list[str]) -> int:
    """Measure all tasks of the line, and write a table. Called by runtime/cli.py; returns 0."""
    options, given = INFLUENCE.read(arguments)
    reading, given = data_flags.parted(given)
    names = _tasks(options, reading)
    settings = settings_of(given)
    jobs = [
        _job(settings_of(merge(given, {"task": task} if options.data is None else {})), task, options, reading)
        for task in names
    ]
    say(f"video2act: policy {policy_id(settings)} in {settings.policy.checkpoint or 'no checkpoint: random weights'}")
    rows: dict[str, list[Row]] = {}
    with (
        WorkerPool("influence", options.workers or usable_processors()) as pool,
        bar(len(jobs), "influence", "task") as progress,
    ):
        for found in pool.results(measured, jobs):
            rows[found[0].task] = found
            progress.update(1)
    for task in names:
        say("\n".join(influence_table.lines(rows[task])))
    if options.json_file is not None:
        _write(options.json_file, [row for task in names for row in rows[task]], settings, options)
    line = [*INFLUENCE.tree_words(arguments, data_flags.NAMES), "--swap", "system2"]
    say_next("see what another scene's tokens cost in closed loops", "evaluate", *line)
    return 0


def measured(job: Job) -> list[Row]:
    """Measure a task at each step, in a worker. Raises SettingsError for too few scenes, RuntimeFault for unfit ones."""
    settings = settings_from_json(job.settings)
    prepare_torch(settings.system1)
    checkpoint = open_video2act(settings)
    fast = fast_system(settings, checkpoint).network
    slow = slow_system(settings, checkpoint).network if checkpoint.config.hears_video else None
    encoder = text_encoder(checkpoint)
    encoded: InstructionEmbedding | None = None
    at: dict[int, list[Moment]] = {step: [] for step in job.steps}
    for scene in _scenes(job, settings, checkpoint.config):
        encoded = encoded or cast(InstructionEmbedding, encoder(settings.instruction or scene.text))
        with scenes.refused():
            for step, moments in at.items():
                moments.append(moment(fast, slow, encoded, scene, step, job.lag_steps))
    found = [tuple(one.scene for one in moments) for moments in at.values()]
    if encoded is None or len(found[0]) < 2:
        raise SettingsError(
            f"--steps {max(job.steps)}: {len(found[0])} of the scenes of {job.task} are so long, at least 2 are needed; "
            "give smaller steps, or more --scenes"
        )
    return [
        Row(job.task, step, names, tuple(measure(fast, encoded, at[step], job.others)))
        for step, names in zip(at, found, strict=True)
    ]


def _tasks(options: InfluenceFlags, reading: Reading) -> list[str]:
    """The tasks of the line, or those of its demonstrations."""
    if options.data is None:
        return tasks(options.task)
    return scenes.tasks_in(options.data, reading) if options.task == "all" else options.task.split(",")


def _job(settings: Settings, task: str, options: InfluenceFlags, reading: Reading) -> Job:
    return Job(
        settings_to_json(settings), task, options.data, options.scenes, options.seed, options.steps,
        round(options.lag_s * DEMONSTRATION_HZ), options.others, reading,
    )  # fmt: skip


def _scenes(job: Job, settings: Settings, config: PolicyConfig) -> Iterator[Scene]:
    """As many scenes as are wanted, or fewer where there are not so many that are long enough."""
    steps = max(job.steps) + 1
    if job.data is None:
        return islice(
            scenes.played(settings, range(job.first_seed, job.first_seed + _TRIED * job.scenes), steps), job.scenes
        )
    return islice(scenes.stored(job.data, job.reading, job.task, config, steps), job.scenes)


def _write(path: Path, rows: Sequence[Row], settings: Settings, options: InfluenceFlags) -> None:
    record: dict[str, Any] = {
        "rows": [row.to_json() for row in rows],
        "checkpoint": policy_id(settings),
        "data": options.data and str(options.data.absolute()),
        "shift": settings.shift,
        "first_seed": options.seed,
        "lag_s": options.lag_s,
        "others": options.others,
        "offset_rad": OFFSET_RAD,
        "revision": revision(),
        "machine": describe(),
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
