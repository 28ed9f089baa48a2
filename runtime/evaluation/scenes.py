"""Scenes that a policy's moments are read from: a folder's demonstrations, or how an expert begins in simulation.
Used by influence.py.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivers.sim import experts
from drivers.sim.experts.script import Unreachable
from drivers.sim.rollout import Rollout
from drivers.sim.tasks import shifted_task
from models.config.policy import PolicyConfig
from models.data.demonstrations import Demonstration, find, to_learn_from
from models.data.reading import Reading
from models.errors import ModelError
from models.moments import Scene
from models.train.prepared import targets
from runtime.config.settings import Settings
from runtime.errors import RuntimeFault


def tasks_in(folder: Path, reading: Reading) -> list[str]:
    """The tasks that a folder's demonstrations do, by name. Raises RuntimeFault for a folder without any."""
    return sorted({demonstration.task for demonstration in _demonstrations(folder, reading)})


def stored(folder: Path, reading: Reading, task: str, config: PolicyConfig, steps: int) -> Iterator[Scene]:
    """The demonstrations of a task that have so many steps. Raises RuntimeFault for one that cannot be read."""
    for demonstration in _demonstrations(folder, reading):
        if demonstration.task == task and demonstration.steps >= steps:
            with refused():
                episode = demonstration.read()
            place = "" if demonstration.index is None else f" {demonstration.index}"
            yield Scene(
                f"{demonstration.path.name}{place}",
                episode.instructions[0],
                episode.jpegs,
                episode.q,
                targets(episode, config),
            )


def played(settings: Settings, seeds: Iterable[int], steps: int) -> Iterator[Scene]:
    """The expert's first steps in scenes of the settings' task and shift; without those that it does sooner, or cannot do."""
    head, rollout = settings.cameras.head, None
    try:
        for seed in seeds:
            task = shifted_task(settings.task, settings.shift, seed)
            if rollout is None:
                rollout = Rollout(task, head.width_px, head.height_px)
            elif rollout.physics.task.appearance != task.appearance:
                rollout.show(task)
            rollout.reset(seed)
            try:
                planned = experts.plan(rollout.physics)
            except Unreachable:
                continue
            if len(planned) >= steps:
                yield _begun(rollout, f"scene {seed}", planned, steps)
    finally:
        if rollout is not None:
            rollout.close()


def _begun(rollout: Rollout, name: str, planned: NDArray[np.floating], steps: int) -> Scene:
    """The first steps of a plan, played."""
    moments = rollout.play(planned[:steps])
    jpegs = rollout.pictures(moments)
    return Scene(name, rollout.physics.task.wordings[0], jpegs, np.array([moment.q for moment in moments]), planned)


def _demonstrations(folder: Path, reading: Reading) -> list[Demonstration]:
    with refused():
        return to_learn_from(find(folder, reading), folder)


@contextmanager
def refused() -> Generator[None]:
    """Within, what the models refuse is a fault of the runtime."""
    try:
        yield
    except ModelError as error:
        raise RuntimeFault(str(error)) from None
