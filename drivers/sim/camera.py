"""A simulated camera: renders the simulator's newest state, adds seeded sensor noise and encodes JPEG at the source.

Runs in the `cameras` process, one thread a camera; it holds its own MjData, so rendering never delays the physics.
"""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from drivers.camera import CameraFrame, wait_for_trigger
from drivers.sim import scene
from drivers.sim.engine import mujoco
from drivers.sim.link import StateSlot
from drivers.sim.tasks.task import Task

_NOISE_SIGMA = 2.5  # grey levels, about that of a small sensor indoors
_JPEG_QUALITY = 90
_STATE_POLL_S = 0.005
# Software GL crashes now and then when several threads use it at once, even on contexts of their own (seen at opening
# and in mid-run), so the cameras of a process take turns: three pictures of 320x240 take 9 of 33 ms.
_GL_LOCK = threading.Lock()


class SimulatedCamera:
    """One camera of the scene; `name` is its name there: head, left_wrist or right_wrist."""

    noisy = True

    def __init__(
        self, name: str, task: Task, folder: Path, width_px: int, height_px: int, rate_hz: float, seed: int
    ) -> None:
        self.name, self.width_px, self.height_px, self.rate_hz = name, width_px, height_px, rate_hz
        self._task, self._folder, self._seed = task, folder, seed
        self._number = 0

    def open(self) -> None:
        """Compile the scene and make the renderer; call it in the thread that reads."""
        with _GL_LOCK:
            self._model: Any = scene.build_model(self._task)
            self._data: Any = mujoco.MjData(self._model)
            self._renderer: Any = mujoco.Renderer(self._model, self.height_px, self.width_px)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._renderer.scene.flags[flag] = 0
        self._states = StateSlot(self._folder)
        size = self.height_px * self.width_px * 3
        generator = np.random.default_rng([self._seed, *self.name.encode()])
        # One long strip of noise, read from another place for every frame: seeded, and far cheaper than fresh numbers.
        self._noise = np.rint(generator.normal(0, _NOISE_SIGMA, 2 * size)).astype(np.int16)
        self._offsets = generator

    def read(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the next instant of the camera's rhythm and render it; None if the simulator shows nothing new."""
        deadline_ns = time.monotonic_ns() + int(timeout_s * 1e9)
        wait_for_trigger(self.rate_hz)
        state = self._states.read()
        while state is None or state.stamp_ns <= self._last_stamp_ns():
            if time.monotonic_ns() > deadline_ns:
                return None
            time.sleep(_STATE_POLL_S)
            state = self._states.read()
        self._stamp_ns = state.stamp_ns
        self._number += 1
        jpeg = simplejpeg.encode_jpeg(self._with_noise(self.render(state.qpos)), _JPEG_QUALITY, "RGB", "420")
        pixels = simplejpeg.decode_jpeg(jpeg, "RGB")
        return CameraFrame(self._number, state.stamp_ns, time.monotonic_ns(), pixels, jpeg, exact=True)

    def render(self, qpos: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The clean picture (H, W, 3) of a scene state."""
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        with _GL_LOCK:
            self._renderer.update_scene(self._data, camera=self.name)
            return self._renderer.render()

    def close(self) -> None:
        """Free the renderer (its GL context must go in the thread that made it)."""
        with _GL_LOCK:
            self._renderer.close()
        self._states.close()

    def _last_stamp_ns(self) -> int:
        return self._stamp_ns if self._number else -1

    def _with_noise(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        start = int(self._offsets.integers(picture.size))
        noisy = picture.astype(np.int16).ravel()
        noisy += self._noise[start : start + picture.size]
        return np.clip(noisy, 0, 255, out=noisy).astype(np.uint8).reshape(picture.shape)
