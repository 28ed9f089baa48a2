"""Writes demonstrations of the scripted experts, in parallel: `demos.sh --task all --episodes 100 --out DIR`.
Called by runtime/cli.py.

One HDF5 file an episode, named by the seed of its scene; it is there whole or not at all, and what is there is not made again.
A scene that the expert does not do is noted by an empty `.failed` file and another seed takes its place.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drivers.cobot_magic import CAMERAS
from drivers.sim import experts, film, first_pose, mishap, training_worlds
from drivers.sim.appearance import USUAL, Appearance, to_json
from drivers.sim.disturbance import disturbance
from drivers.sim.experts.script import Unreachable
from drivers.sim.rollout import Moment, Rollout
from drivers.sim.tasks import make_task
from drivers.task_names import KEPT_FROM
from models.data import hdf5
from models.data.episode import EXPERT, SHORTEST_STEPS, Episode, check
from models.errors import ModelError
from runtime.errors import SettingsError
from runtime.host.next_step import say_next
from runtime.host.processors import usable_processors
from runtime.host.progress import bar
from runtime.host.terminal import say
from runtime.host.worker_pool import WorkerPool
from runtime.training.flags import DEMOS, DemosFlags, tasks


@dataclass(frozen=True)
class Job:
    """One episode to make: a task's scene, and how large its pictures are."""

    task: str
    seed: int
    folder: Path
    width_px: int
    height_px: int
    after_failure: bool = False
    randomise: bool = False
    kind: str = EXPERT
    cut_after: int | None = None  # steps that are kept; None: all
    all_cameras: bool = False  # of a film

    @property
    def path(self) -> Path:
        """The HDF5 file of this episode; it is there once the expert did the task, or the film was made."""
        film = f"{self.kind}_all_cameras" if self.all_cameras else self.kind
        name = film if self.kind != EXPERT else "episode" if self.cut_after is None else "opening"
        return self.folder / self.task / f"{name}_{self.seed:06d}.hdf5"

    @property
    def world(self) -> Appearance:
        """How the scene looks."""
        return training_worlds.draw(self.task, self.seed) if self.randomise else USUAL

    @property
    def cameras(self) -> tuple[str, ...]:
        """Whose pictures are taken: Video2Act needs a film from the head camera alone, which makes it three times as cheap."""
        return CAMERAS if self.kind == EXPERT or self.all_cameras else CAMERAS[:1]

    @property
    def failed(self) -> Path:
        """The empty file that stands for an episode in which the expert did not do the task."""
        return self.path.with_suffix(".failed")


def main(arguments: list[str]) -> int:
    """Write the demonstrations of the line. Called by runtime/cli.py; returns 0."""
    options, _ = DEMOS.read(arguments)
    names = tasks(options.task)
    say(f"video2act: writing demonstrations to {options.out.absolute()}")
    folders = [options.out / name for name in names]
    _tidy(folders)
    for folder in folders:
        _check_alike(folder, options)
    try:
        with WorkerPool("demos", options.workers or usable_processors(), options.ray) as pool:
            for name in names:
                made, failed = _make(pool, name, options)
                what = "demonstrations" if options.kind == EXPERT else f"films ({options.kind})"
                say(f"{name}: {made} {what} in {options.out / name}; the expert failed in {failed} scenes")
    finally:
        _tidy(folders)
    say_next("train the video model on them", "train", "video", "--data", options.out, "--out", "DIR")
    return 0


def _tidy(folders: list[Path]) -> None:
    """Remove what an interrupted or killed run left half-written."""
    for folder in folders:
        for left in folder.glob("*.part"):
            left.unlink()


def _check_alike(folder: Path, options: DemosFlags) -> None:
    """Raises SettingsError where a file that is there already, and will count, is cut or of another picture size."""
    wanted = (options.height_px, options.width_px)
    for path in sorted(folder.glob("*.hdf5")):
        try:
            size, drawn = hdf5.picture_size(path), bool(hdf5.world(path))
        except ModelError as error:
            raise SettingsError(f"{error}; delete the file") from None
        if size != wanted:
            raise SettingsError(
                f"--width-px, --height-px: {path} has images of {size[1]}x{size[0]} px, got {wanted[1]}x{wanted[0]} px; "
                "give another --out"
            )
        if drawn is not options.randomise:
            is_there = "was made with --randomise" if drawn else "was made without --randomise"
            raise SettingsError(f"--randomise: {path} {is_there}; give another --out")


def _make(pool: WorkerPool, name: str, options: DemosFlags) -> tuple[int, int]:
    """Make the missing episodes of one task. Returns how many there are then, and how many scenes failed."""
    (options.out / name).mkdir(parents=True, exist_ok=True)
    seeds = _jobs(name, options)
    done = failed = 0
    with bar(options.episodes, name, "episode") as progress:
        while done < options.episodes:  # a scene that fails is made up for by another
            chosen = list(itertools.islice(seeds, options.episodes - done))
            there = sum(job.path.exists() for job in chosen)
            missing = [job for job in chosen if not job.path.exists() and not job.failed.exists()]
            done, failed = done + there, failed + len(chosen) - there - len(missing)
            progress.update(there)
            for succeeded in pool.results(demonstrate, missing):
                done, failed = done + succeeded, failed + (not succeeded)
                progress.update(int(succeeded))
    return done, failed


def _jobs(name: str, options: DemosFlags) -> Iterator[Job]:
    for seed in range(options.seed, KEPT_FROM):
        size = (options.width_px, options.height_px)
        what = options.after_failure, options.randomise, options.kind, options.cut_after, options.all_cameras
        yield Job(name, seed, options.out, *size, *what)
    raise SettingsError(f"--seed {options.seed}: scenes from {KEPT_FROM} on are kept for evaluation; give a lower seed")


_rollouts: dict[tuple[object, ...], Rollout] = {}  # of this worker: making its renderers takes longer than an episode


def demonstrate(job: Job) -> bool:
    """Make one episode, in a worker. Returns whether the expert did the task, or the film was made."""
    rollout = _rollout(job)
    episode = _attempt(rollout, job) if job.kind == EXPERT else _film(rollout, job)
    if episode is None:
        job.failed.touch()
        return False
    hdf5.write(job.path, check(episode, str(job.path)))
    return True


def _rollout(job: Job) -> Rollout:
    """This worker's rollout, in the world of a job."""
    key, task = (job.width_px, job.height_px, job.cameras), make_task(job.task, job.world)
    if key not in _rollouts:
        for rollout in _rollouts.values():
            rollout.close()
        _rollouts.clear()
        _rollouts[key] = Rollout(task, job.width_px, job.height_px, cameras=job.cameras)
    rollout = _rollouts[key]
    shown = rollout.physics.task
    if (shown.name, shown.appearance) != (task.name, task.appearance):
        rollout.show(task)
    return rollout


def _film(rollout: Rollout, job: Job) -> Episode | None:
    """Film motions that need not do the task, long enough to be read; None where the expert finds no way."""
    rollout.reset(job.seed)
    random = np.random.default_rng([job.seed, *job.kind.encode()])
    moves = film.disturbed if job.kind == "disturbed" else film.by_chance
    try:
        targets = moves(rollout.physics, random)
    except Unreachable:
        return None
    return None if len(targets) < SHORTEST_STEPS else _episode(rollout, job, rollout.play(targets), targets)


def _attempt(rollout: Rollout, job: Job) -> Episode | None:
    """Let the expert play a job's scene. Returns the episode; None when it does not succeed."""
    rollout.reset(job.seed)
    try:
        if job.after_failure:
            first = experts.plan(rollout.physics)
            if not mishap.fail(rollout, first, np.random.default_rng([job.seed, *b"mishap"])):
                return None
        if job.randomise and not job.after_failure:
            targets = first_pose.plan_from_anywhere(rollout, np.random.default_rng([job.seed, *b"first pose"]))
        else:
            targets = experts.plan(rollout.physics)
    except Unreachable:
        return None
    pushed = targets + disturbance(np.random.default_rng([job.seed, *b"disturbance"]), len(targets))
    moments = rollout.play(pushed[: job.cut_after])
    done = job.cut_after is not None or rollout.physics.success()  # of an episode that is cut nobody knows
    return _episode(rollout, job, moments, targets) if done else None


def _episode(rollout: Rollout, job: Job, moments: list[Moment], targets: np.ndarray) -> Episode:
    """The episode of what was played; its pictures are taken now, so that one that failed costs none."""
    q, dq, effort = (
        np.array([getattr(moment, name) for moment in moments], np.float32) for name in ("q", "dq", "effort")
    )
    jpegs, wordings = rollout.pictures(moments), make_task(job.task, job.world).wordings
    world = to_json(job.world) if job.randomise else ""
    leader, ahead = np.split(targets.astype(np.float32), [len(moments)])
    return Episode(q, dq, effort, leader, jpegs, wordings, job.task, job.seed, world, job.kind, ahead=ahead)
