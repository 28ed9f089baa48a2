"""A RoboTwin 2 scene as a body and its eyes, so that our policy runs in their benchmark by the same rules as in ours.
Called by deploy/robotwin/deploy_policy.py.

Their interface (policy folders of RoboTwin 2): an observation holds `observation.head_camera.rgb`, `left_camera` and
`right_camera`, each (H, W, 3) uint8, and `joint_action.vector` (14,): rad, grippers 0 to 1. `take_action` moves to such a
vector, which is taken for one step of 1/30 s.
"""

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from drivers import jpeg
from drivers.cobot_magic import SIDES
from drivers.sim.rates import DEMONSTRATION_HZ
from drivers.sim.scene import TIMESTEP_S
from runtime.config.settings import Settings
from runtime.evaluation import world
from runtime.evaluation.latencies import Latencies
from runtime.policy.opening import Policy

Array = NDArray[np.float64]
ROBOTWIN_CAMERAS = {"head": "head_camera", "left_wrist": "left_camera", "right_wrist": "right_camera"}
_STEPS = round(1 / DEMONSTRATION_HZ / TIMESTEP_S)  # of our physics, in one of theirs
_ARM = 7  # joints of an arm with its gripper
_GRIPPERS = (_ARM - 1, 2 * _ARM - 1)  # their places in the vector
_KEPT = 400  # pictures; as played_episode.py


class Over(Exception):
    """Their episode has ended: no step is left."""


class RoboTwinScene:
    """One of their episodes as a played_episode.Body. `stroke_m`: what their gripper's 1 means."""

    def __init__(self, environment: Any, observation: dict[str, Any], settings: Settings, stroke_m: float) -> None:
        self._environment, self._settings, self._stroke_m = environment, settings, stroke_m
        self._seen: dict[int, dict[str, NDArray[np.uint8]]] = {}
        self._count = self._passed = 0
        self._dq = np.zeros(2 * _ARM)
        self._q = self._joints(observation)
        self._commanded = self._q.copy()
        self._see(observation)
        self.eyes = {name: RoboTwinEye(self, name) for name in ROBOTWIN_CAMERAS}

    def command(self, side: int, q: Array) -> None:
        self._commanded[_ARM * side : _ARM * side + _ARM] = q

    def advance(self, steps: int) -> None:
        """Let time pass; every 1/30 s their scene makes a step. Raises Over when it has no more."""
        self._passed += steps
        while self._passed >= _STEPS:
            self._passed -= _STEPS
            if self.success() or self._environment.take_action_cnt >= self._environment.step_lim:
                raise Over
            self._environment.take_action(self.vector(self._commanded))
            observation = self._environment.get_obs()
            before, self._q = self._q, self._joints(observation)
            self._dq = (self._q - before) * DEMONSTRATION_HZ
            self._count += 1
            self._see(observation)

    def arms(self) -> Array:
        """(2, 3, 7) as played_episode.Body says; their scene does not tell efforts, which are 0."""
        return np.stack([self._q, self._dq, np.zeros(2 * _ARM)]).reshape(3, len(SIDES), _ARM).swapaxes(0, 1)

    def qpos(self) -> Array:
        """The number of the newest observation, by which `RoboTwinEye` finds its pictures."""
        return np.array([float(self._count)])

    def success(self) -> bool:
        return bool(getattr(self._environment, "eval_success", False))

    def vector(self, q: Array) -> Array:
        """Joints (14,), rad, grippers m, as their actions count them: grippers 0 to 1."""
        made = np.array(q)
        made[list(_GRIPPERS)] = np.clip(made[list(_GRIPPERS)] / self._stroke_m, 0, 1)
        return made

    def picture(self, count: int, name: str) -> NDArray[np.uint8]:
        """A camera's picture (H, W, 3) at observation number `count`, in the size that the settings ask for."""
        camera = self._settings.cameras.by_name()[name]
        seen = self._seen[count][name]
        if seen.shape[:2] != (camera.height_px, camera.width_px):
            seen = np.asarray(Image.fromarray(seen).resize((camera.width_px, camera.height_px), Image.Resampling.BOX))
        return seen

    def _joints(self, observation: dict[str, Any]) -> Array:
        q = np.array(observation["joint_action"]["vector"], np.float64)
        q[list(_GRIPPERS)] *= self._stroke_m
        return q

    def _see(self, observation: dict[str, Any]) -> None:
        views = observation["observation"]
        self._seen[self._count] = {
            name: np.asarray(views[theirs]["rgb"], np.uint8) for name, theirs in ROBOTWIN_CAMERAS.items()
        }
        self._seen.pop(self._count - _KEPT, None)


class RoboTwinEye:
    """One camera of a RoboTwin scene as a played_episode.Sight."""

    def __init__(self, scene: RoboTwinScene, name: str) -> None:
        self._scene, self._name = scene, name

    def jpeg(self, qpos: Array) -> bytes:
        """The picture of the observation whose number `qpos` holds."""
        return jpeg.encode(self._scene.picture(int(qpos[0]), self._name))


def play(
    environment: Any, observation: dict[str, Any], settings: Settings, policy: Policy, latencies: Latencies,
    stroke_m: float,
) -> bool:  # fmt: skip
    """Play one of their episodes to its end. Returns whether the task was done."""
    scene = RoboTwinScene(environment, observation, settings, stroke_m)
    limit_s = environment.step_lim / DEMONSTRATION_HZ
    with suppress(Over):
        world.run(settings, policy, latencies, scene, scene.eyes, environment.get_instruction(), settings.seed, limit_s)
    return scene.success()
