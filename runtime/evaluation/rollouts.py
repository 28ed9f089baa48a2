"""Rollouts in workers: a job names settings and seeds, a result tells how each episode went.
Called by command.py through a worker pool.
"""

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from drivers.sim import experts
from drivers.sim.episode_recorder import EpisodeRecorder
from drivers.sim.experts.script import Unreachable
from drivers.sim.failures import classify
from drivers.sim.fixed_start import FixedStart
from drivers.sim.physics import Physics
from drivers.sim.rates import DEMONSTRATION_HZ
from drivers.sim.rollout import follow
from drivers.sim.tasks import shifted_task
from runtime.config.loading import settings_from_json, settings_to_json
from runtime.config.settings import Settings
from runtime.evaluation.latencies import Latencies
from runtime.evaluation.played_episode import Outcome
from runtime.evaluation.world import World
from runtime.policy.opening import Policy, open_policy


@dataclass(frozen=True)
class Job:
    """Episodes of one task, one after the other in the same worker."""

    settings: str  # JSON
    latencies: Latencies
    seeds: tuple[int, ...]
    expert: bool = False
    film_every: int = 0
    swap: bool = False  # whether System 2's conditions are another scene's
    fixed: FixedStart | None = None  # an object whose start stays; the outcomes then have the hands' paths
    name: str = ""  # whatever the asker sorts results by


@dataclass(frozen=True)
class Episode:
    """How one episode went, and how long it took on this machine."""

    seed: int
    outcome: Outcome
    wall_s: float


@dataclass(frozen=True)
class Result:
    """The job that was played, with its episodes in the order of its seeds."""

    job: Job
    task: str
    checkpoint_id: str
    episodes: tuple[Episode, ...]


def play(job: Job) -> Result:
    """Play a job's episodes, in a worker."""
    settings = settings_from_json(job.settings)
    torch.set_num_threads(1)
    played: list[Episode] = []
    for seed in job.seeds:
        begun_s = time.perf_counter()
        outcome = _expert(settings, seed, job.fixed) if job.expert else _rollout(job, settings, seed)
        played.append(Episode(seed, outcome, time.perf_counter() - begun_s))
    name = "expert" if job.expert else _policy(_policy_key(settings)).checkpoint_id
    return Result(job, settings.task, name, tuple(played))


def _rollout(job: Job, settings: Settings, seed: int) -> Outcome:
    """Play one scene; every episode is given another of the wordings that hold in it."""
    wordings = shifted_task(settings.task, settings.shift, seed).wordings
    text = settings.instruction or wordings[seed % len(wordings)]
    return _world(job.settings, job.latencies).run(seed, text, job.film_every, swap=job.swap, fixed=job.fixed)


@lru_cache(maxsize=1)
def _world(settings: str, latencies: Latencies) -> World:
    """This worker's scene; building it takes longer than an episode."""
    read = settings_from_json(settings)
    return World(read, _policy(_policy_key(read)), latencies)


def _policy_key(settings: Settings) -> str:
    """The settings that the networks depend on, as JSON: tasks share their networks."""
    return settings_to_json(settings.model_copy(update={"task": "any", "shift": "none"}))


@lru_cache(maxsize=1)
def _policy(settings: str) -> Policy:
    """Both networks of a policy, opened once in a process; `settings` is JSON."""
    return open_policy(settings_from_json(settings))


def _expert(settings: Settings, seed: int, fixed: FixedStart | None) -> Outcome:
    """Play the scripted expert on the same scene, without safety layer or latencies: what the task allows at best."""
    physics = Physics(shifted_task(settings.task, settings.shift, seed))
    physics.reset(seed, fixed)
    recorder = EpisodeRecorder(physics)
    recorder.note()
    try:
        targets = experts.plan(physics)
    except Unreachable as error:
        return Outcome(fault=str(error), failure=classify(recorder.trace()))
    before = physics.arms()[:, 0].ravel()
    for step, target in enumerate(targets):
        follow(physics, before, target)
        recorder.note()
        before = np.asarray(target, np.float64)
        if physics.success():
            hands_m = None if fixed is None else recorder.trace().hands_m
            return Outcome(success=True, seconds=(step + 1) / DEMONSTRATION_HZ, hands_m=hands_m)
    return Outcome(seconds=len(targets) / DEMONSTRATION_HZ, failure=classify(recorder.trace()))
