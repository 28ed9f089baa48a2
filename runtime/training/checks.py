"""How good a policy is while it is trained: its loss on demonstrations that it does not learn from, its success in simulation.
Both are measured with the averaged weights, when a checkpoint has been written. Called by stages.py.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import Dataset

from drivers.task_names import TASK_NAMES
from models.data.demonstrations import Demonstration
from models.train.prepared import Tensors
from runtime.host.child_process import die_with_parent
from runtime.host.terminal import say
from runtime.training.run import Run

_BATCHES = 16
"""That the loss is measured on, always the same ones. Chosen: 768 observations of the usual batch, in some seconds."""
_HEARD_LETTERS = 300  # of what a failed evaluation said; chosen: its last line


def held_out(demonstrations: Sequence[Demonstration], share: float, seed: int) -> set[int]:
    """Which demonstrations are not learnt from: of each task that share, at least one and not all.

    Args:
        demonstrations: All of them.
        share: 0: none.
        seed: Decides which; names do too, so that further demonstrations change little.

    Returns:
        Their places.
    """
    found: set[int] = set()
    for task in {one.task for one in demonstrations} if share else ():
        places = [place for place, one in enumerate(demonstrations) if one.task == task]
        places.sort(key=lambda place: _drawn(demonstrations[place], seed))
        found |= set(places[: min(len(places) - 1, max(1, round(share * len(places))))])
    return found


def _drawn(one: Demonstration, seed: int) -> str:
    return hashlib.sha256(f"{seed} {one.path.name} {one.index}".encode()).hexdigest()


class Checks:
    """Measures what `run` asks for. `held` are batches of what is not learnt from, None: all is learnt from."""

    def __init__(self, run: Run, network: nn.Module, held: Dataset[Tensors] | None, tasks: Iterable[str]) -> None:
        self._run, self._network, self._held = run, network, held
        self._tasks = [name for name in TASK_NAMES if name in set(tasks)]

    def found(self, checkpoint: Path, step: int) -> dict[str, float]:
        """The figures of a checkpoint that was written after so many steps, which are printed too."""
        figures: dict[str, float] = {}
        if self._held is not None:
            figures["validation loss"] = _loss(self._network, self._held)
        every = self._run.success_every
        if every and self._tasks and (step % every == 0 or step == self._run.schedule.steps):
            figures |= self._successes(checkpoint)
        if figures:
            shown = ", ".join(f"{name} {value:.3g}" for name, value in figures.items())
            say(f"video2act: step {step}: {shown}")
        return figures

    def _successes(self, checkpoint: Path) -> dict[str, float]:
        """The share of simulated scenes that get done, by task. An evaluation that fails ends no training."""
        file = self._run.out / "success.json"
        line = ["evaluate", "--policy.checkpoint", checkpoint, "--task", ",".join(self._tasks), "--json", file]
        line += ["--rollouts", self._run.success_scenes, "--repeats", 1, "--workers", self._run.workers]
        words = [sys.executable, "-m", "runtime.cli", *map(str, line)]
        ends_with_us = partial(die_with_parent, "evaluate")
        done = subprocess.run(words, capture_output=True, text=True, check=False, preexec_fn=ends_with_us)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["no reason"])[-1][:_HEARD_LETTERS]
            say(f"video2act: the scenes were not played ({said}); the training goes on")
            return {}
        rows = json.loads(file.read_text())["rows"]
        return {f"success {row['task']}": row["successes"] / row["rollouts"] for row in rows}


@torch.no_grad()
def _loss(network: nn.Module, batches: Dataset[Tensors]) -> float:
    device = next(network.parameters()).device
    losses = [
        network({name: tensor.to(device) for name, tensor in batches[number].items()}) for number in range(_BATCHES)
    ]
    return float(torch.stack(losses).mean())
