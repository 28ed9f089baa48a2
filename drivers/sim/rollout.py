"""The simulated robot without a clock: one target at 30 Hz in, one moment out, and its pictures.

Called by `demos.sh` and by the rollouts of experts in runtime/evaluation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import CAMERAS, SIDES
from drivers.sim.camera_renderer import Eye
from drivers.sim.physics import Physics
from drivers.sim.rates import DEMONSTRATION_HZ
from drivers.sim.scene import TIMESTEP_S
from drivers.sim.tasks.task import Task

Array = NDArray[np.float64]
_UPDATES = 5  # of the commands, within one target's time; chosen: 150 a second, near the 200 of a live run
_STEPS = round(1 / DEMONSTRATION_HZ / TIMESTEP_S / _UPDATES)


@dataclass(frozen=True)
class Moment:
    """A moment of the scene, of which pictures can be taken later; joints (14,) in rad, gripper m, per s, N m."""

    q: Array
    dq: Array
    effort: Array
    qpos: Array  # the scene's generalised positions (nq,)


class Rollout:
    """One scene and its cameras; `reset` begins an episode."""

    def __init__(
        self, task: Task, width_px: int, height_px: int, seed: int = 0, cameras: Sequence[str] = CAMERAS
    ) -> None:
        self.physics = Physics(task)
        self._eyes = [Eye(name, task, width_px, height_px, seed) for name in cameras]
        self._command = np.zeros(0)

    def show(self, task: Task) -> None:
        """Go on in another world, of the same or another task; `reset` begins an episode in it."""
        self.physics = Physics(task)
        for eye in self._eyes:
            eye.show(task)

    def reset(self, seed: int) -> None:
        """Begin an episode: objects strewn and pictures' noise drawn from the seed, arms at the ready pose."""
        self.physics.reset(seed)
        for eye in self._eyes:
            eye.restart(seed)
        self._command = self.physics.arms()[:, 0].ravel()

    def moment(self) -> Moment:
        """The scene as it is now."""
        q, dq, effort = (self.physics.arms()[:, kind].ravel() for kind in range(3))
        return Moment(q, dq, effort, self.physics.qpos())

    def play(self, targets: NDArray[np.floating]) -> list[Moment]:
        """Let the arms follow targets (T, 14), rad and m. Returns the moment before each."""
        moments: list[Moment] = []
        for target in targets:
            moments.append(self.moment())
            self.follow(target)
        return moments

    def pictures(self, moments: Sequence[Moment]) -> dict[str, list[bytes]]:
        """A JPEG of each moment by every camera, in their order, which the noise follows. Takes most of an episode's time."""
        return {eye.name: [eye.jpeg(moment.qpos) for moment in moments] for eye in self._eyes}

    def follow(self, target: NDArray[np.floating]) -> None:
        """Let the arms go to joint targets (14,), rad and m, within one step of 1/30 s, evenly from the target before."""
        wanted = np.asarray(target, dtype=np.float64)
        follow(self.physics, self._command, wanted)
        self._command = wanted

    def close(self) -> None:
        """Free the renderers of all cameras, in the thread that made them."""
        for eye in self._eyes:
            eye.close()


def follow(physics: Physics, before: Array, target: Array) -> None:
    """One step of 1/30 s in which the commands go evenly from the target before to this one, (14,) each."""
    for update in range(1, _UPDATES + 1):
        command = (before + (target - before) * update / _UPDATES).reshape(len(SIDES), -1)
        for side in range(len(SIDES)):
            physics.command(side, command[side])
        physics.advance(_STEPS)
