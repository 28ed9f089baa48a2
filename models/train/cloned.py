"""The joints and targets of the demonstrations that stage 2 clones: how likely each is drawn, and the chunks cut out of them.

Used by the batches of both families (samples.py, video_policy/observations.py). Legend: T steps, H targets, J joints.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.train.choices import Prefixes
from models.train.prefixes import Demonstrated, perturbed
from models.train.prepared import Prepared

ON_THE_WAY_S = (0.01, 0.06)
"""How much later than its newest picture was exposed a live run begins. Chosen: it takes some 10 ms to read a set of pictures,
and the set may be more than a frame (33 ms) old before System 1 is free."""


class Cloned:
    """Of each demonstration q (T, J) and its targets, as many or more; and its task."""

    def __init__(self, files: Sequence[Prepared], tasks: Sequence[str]) -> None:
        self.q = [file["q"] for file in files]
        self.targets = [file["targets"] for file in files]
        self._tasks = tasks
        self._of_task = {task: [i for i, one in enumerate(tasks) if one == task] for task in tasks}

    def shares(self, task_power: float, cut_share: float) -> NDArray[np.float64]:
        """How likely each demonstration is drawn.

        Args:
            task_power: tasks count by their number of steps to this power.
            cut_share: of those that were cut, where there are both kinds.

        Returns:
            A number for each; their sum is 1.
        """
        steps = np.array([len(q) for q in self.q], np.float64)
        by_task = {task: sum(steps[i] for i in places) for task, places in self._of_task.items()}
        share = np.array([by_task[task] ** (task_power - 1) for task in self._tasks]) * steps
        cut = np.array([len(targets) > len(q) for q, targets in zip(self.q, self.targets, strict=True)])
        if cut.any() and not cut.all():  # else they would be drawn by their few steps
            share[cut] *= cut_share / share[cut].sum()
            share[~cut] *= (1 - cut_share) / share[~cut].sum()
        return share / share.sum()

    def joints(self, index: int, step: int, random: np.random.Generator) -> NDArray[np.float64]:
        """Joints (J,) a little later than a step: a live run reads them when it begins, not when the cameras exposed."""
        q = self.q[index][step : step + 2].double().numpy()
        return q[0] + (q[-1] - q[0]) * random.random()

    def chunk(
        self,
        one: Demonstrated,
        task: str,
        committed: int,
        horizon: int,
        prefixes: Prefixes,
        random: np.random.Generator,
    ) -> NDArray[np.floating]:
        """Targets of which the first were committed.

        Args:
            one: the demonstration and the step at which the chunk begins.
            task: its task; another demonstration of it may lend its motion.
            committed: how many targets are; 0: none.
            horizon: H.
            prefixes: how committed targets are perturbed.
            random: draws whether, and how.

        Returns:
            (H, J): those of the demonstration, unless the prefix is perturbed.
        """
        if not committed:
            return one.chunk(horizon)
        number = int(random.choice(self._of_task[task]))
        step = min(one.step, len(self.q[number]) - 1)
        other = Demonstrated(self.q[number][step].numpy(), self.targets[number].numpy(), step)
        return perturbed(one, other, committed, horizon, prefixes, random)
