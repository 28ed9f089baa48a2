"""A simulated camera: shows the simulator's newest state through an eye (drivers/sim/camera_renderer.py), at a camera's rhythm.

Runs in the `cameras` process, one thread a camera; rendering never delays the physics.
"""

import time
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from drivers.camera import CameraFrame, wait_for_trigger
from drivers.sim.camera_renderer import Eye
from drivers.sim.link import StateSlot
from drivers.sim.tasks.task import Task

_STATE_POLL_S = 0.005  # how often a newer state is looked for; chosen: the simulator gives one every 5 ms


class SimulatedCamera:
    """One camera of the scene; `name` is its name there: head, left_wrist or right_wrist."""

    noisy = True
    usb = ""
    damaged = 0

    def __init__(
        self, name: str, task: Task, folder: Path, width_px: int, height_px: int, rate_hz: float, seed: int
    ) -> None:
        self.name, self.width_px, self.height_px, self.rate_hz = name, width_px, height_px, rate_hz
        self._task, self._folder, self._seed = task, folder, seed
        self._number = 0

    def open(self) -> None:
        """Compile the scene and make the renderer. Call it in the thread that reads: GL contexts belong to threads."""
        self._eye = Eye(self.name, self._task, self.width_px, self.height_px, self._seed)
        self._states = StateSlot(self._folder)

    def read(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the camera's next trigger and render the newest state; None if none newer came within `timeout_s`."""
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
        jpeg = self._eye.jpeg(state.qpos)
        pixels = simplejpeg.decode_jpeg(jpeg, "RGB")
        return CameraFrame(self._number, state.stamp_ns, time.monotonic_ns(), pixels, jpeg, exact=True)

    def render(self, qpos: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The picture (H, W, 3) uint8 RGB of a scene's qpos (nq,), without noise or JPEG."""
        return self._eye.render(qpos)

    def close(self) -> None:
        """Free the renderer (its GL context must go in the thread that made it)."""
        self._eye.close()
        self._states.close()

    def _last_stamp_ns(self) -> int:
        return self._stamp_ns if self._number else -1
