"""The tasks as gymnasium environments: `gymnasium.make("video2act/container_place-v0")`. Registered by gymnasium itself, by the
entry point in pyproject.toml, wherever video2act is installed with its extra `gymnasium`.

Targets go to the motors as they are, 30 a second: there is no safety layer here, and no other process. What a policy does
behind all of that `video2act evaluate` measures.
"""

from typing import Any

import gymnasium
import numpy as np
import simplejpeg
from gymnasium import spaces
from numpy.typing import NDArray

from drivers.cobot_magic import CAMERAS, HIGH, LOW
from drivers.errors import DriverError
from drivers.sim import training_worlds
from drivers.sim.appearance import USUAL, Appearance
from drivers.sim.rates import DEMONSTRATION_HZ
from drivers.sim.rollout import Rollout
from drivers.sim.shift_suites import SHIFTS, Shift, draw
from drivers.sim.tasks import TASKS, make_task
from drivers.task_names import KEPT_FROM

Observation = dict[str, Any]
_JOINTS = 14  # of both arms
_LOW, _HIGH = np.tile(LOW, 2).astype(np.float32), np.tile(HIGH, 2).astype(np.float32)  # of both arms
_BEYOND = 0.1  # rad and m, by which a joint may read beyond its range; chosen: motors give way under load


def register() -> None:
    """Make every task known to gymnasium. Called by gymnasium when it is imported."""
    for name, task in TASKS.items():
        gymnasium.register(
            id=f"video2act/{name}-v0",
            entry_point="drivers.sim.gymnasium_env:TabletopEnv",
            max_episode_steps=task.step_limit,
            kwargs={"task": name},
        )


class TabletopEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """One task on the simulated Cobot Magic.

    Observation: `pixels` by camera, (H, W, 3) uint8 RGB, and `agent_pos` (14,), the measured joints. Action (14,): joint
    targets for the next 1/30 s, rad, grippers m, left arm first. Reward 1 at success, which ends the episode, else 0. `info`
    has `is_success` and the `instruction`. The seed of `reset` is the scene's; those from 1000000 on are the ones that
    video2act evaluates on. Without a seed a scene below them is drawn.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": DEMONSTRATION_HZ}  # noqa: RUF012  # as gymnasium's

    def __init__(
        self,
        task: str,
        shift: Shift = "none",
        randomise: bool = False,
        width_px: int = 256,
        height_px: int = 192,
        render_mode: str | None = None,
    ) -> None:
        """Open the scene.

        Args:
            task: One of the tasks' names.
            shift: Draw every scene's look from one of the suites of unseen looks (`blackout` is System 1's: not here).
            randomise: Draw it from what training shows.
            width_px: Of every camera's picture.
            height_px: Likewise.
            render_mode: `rgb_array`: `render` gives the head camera's picture.

        Raises:
            DriverError: There is no such task, shift or mode; one line with those that there are.
        """
        shifts = [name for name in SHIFTS if name != "blackout"]
        if shift not in shifts or (randomise and shift != "none"):
            raise DriverError(f"shift {shift!r}: must be one of {', '.join(shifts)}, and none with randomise")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise DriverError(f"render_mode {render_mode!r}: must be rgb_array or None")
        self.render_mode = render_mode
        self._name, self._randomise = task, randomise
        self._shift: Shift = shift
        self._rollout = Rollout(make_task(task), width_px, height_px)
        picture = spaces.Box(0, 255, (height_px, width_px, 3), np.uint8)
        joints = spaces.Box(_LOW - _BEYOND, _HIGH + _BEYOND, (_JOINTS,), np.float32)
        self.observation_space = spaces.Dict(
            {"pixels": spaces.Dict(dict.fromkeys(CAMERAS, picture)), "agent_pos": joints}
        )
        self.action_space = spaces.Box(_LOW, _HIGH, (_JOINTS,), np.float32)
        self._seen: Observation = {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode: the scene of a seed, arms at the ready pose; `options` are not used."""
        super().reset(seed=seed, options=options)
        scene = int(self.np_random.integers(KEPT_FROM)) if seed is None else seed
        appearance = self._appearance(scene)
        if self._rollout.physics.task.appearance != appearance:
            self._rollout.show(make_task(self._name, appearance))
        self._rollout.reset(scene)
        return self._observed(), self._info()

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Let the arms go to joint targets (14,) within 1/30 s. Raises DriverError for others than finite numbers."""
        target = np.asarray(action, np.float64)
        if target.shape != (_JOINTS,) or not np.isfinite(target).all():
            raise DriverError(f"action: must be {_JOINTS} finite numbers, rad and m, got {f'{action}':.60}")
        self._rollout.follow(np.clip(target, _LOW, _HIGH))
        info = self._info()
        return self._observed(), float(info["is_success"]), info["is_success"], False, info

    def render(self) -> NDArray[np.uint8] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The head camera's picture of the last observation; None without a render mode."""
        return self._seen["pixels"]["head"] if self.render_mode == "rgb_array" and self._seen else None

    def close(self) -> None:
        """Free the renderers, in the thread that made them."""
        self._rollout.close()

    def _appearance(self, scene: int) -> Appearance:
        if self._randomise:
            return training_worlds.draw(self._name, scene)
        return USUAL if self._shift == "none" else draw(self._name, self._shift, scene)

    def _observed(self) -> Observation:
        moment = self._rollout.moment()
        pixels = {name: simplejpeg.decode_jpeg(made[0]) for name, made in self._rollout.pictures([moment]).items()}
        self._seen = {"pixels": pixels, "agent_pos": moment.q.astype(np.float32)}
        return self._seen

    def _info(self) -> dict[str, Any]:
        task = self._rollout.physics.task
        return {"is_success": self._rollout.physics.success(), "instruction": task.wordings[0]}
