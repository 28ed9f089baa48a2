"""What a camera of the scene sees: a rendered picture with seeded sensor noise, as JPEG. Pure of clocks and processes.

Used by the simulated camera driver, by demonstrations and by evaluation, so that a policy meets the same pictures everywhere.
"""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers import jpeg
from drivers.sim import scene
from drivers.sim.engine import mujoco
from drivers.sim.scene_renderer import SceneRenderer
from drivers.sim.tasks.task import Task

_UNSEEN = 5  # of MuJoCo's six groups of geoms: those that are not drawn; no scene uses it
_SEEN_MARGIN_M = 0.001  # chosen: a thousand times what float32 rounds in a scene of this size
# Software GL crashes now and then when several threads use it at once, even on contexts of their own (seen at opening
# and in mid-run), so the cameras of a process take turns: three pictures of 320x240 take 9 of 33 ms.
_GL_LOCK = threading.Lock()


class Eye:
    """One camera of the scene by its name there; it holds its own MjData, so rendering never touches the physics.

    Make, use and close it in one thread: its GL context belongs to that.
    """

    def __init__(self, name: str, task: Task, width_px: int, height_px: int, seed: int) -> None:
        self.name, self._width_px, self._height_px = name, width_px, height_px
        self._size = height_px * width_px * 3
        with _GL_LOCK:
            self._take(task)
            self._renderer: Any = SceneRenderer(self._model, height_px, width_px)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._renderer.scene.flags[flag] = 0
        self._option: Any = mujoco.MjvOption()
        self._option.geomgroup[_UNSEEN] = 0
        self.restart(seed)

    def show(self, task: Task) -> None:
        """See another world from now on; its pictures' noise begins with the next `restart`."""
        with _GL_LOCK:
            self._take(task)
            self._renderer.show(self._model)

    def _take(self, task: Task) -> None:
        """Build the world of a task, and what is known of this camera in it."""
        self._model: Any = scene.build_model(task)
        buffer = self._model.vis.global_
        buffer.offwidth, buffer.offheight = self._width_px, self._height_px  # all of it is cleared for each picture
        self._data: Any = mujoco.MjData(self._model)
        self._camera = self._model.camera(self.name).id
        self._view = _side_planes(self._model.cam_fovy[self._camera], self._width_px / self._height_px)
        self._drawn_group = self._model.geom_group.copy()
        self._noise_sigma = task.appearance.noise_sigma

    def restart(self, seed: int) -> None:
        """Draw the noise of all pictures from here on from a seed; the same seed gives the same pictures again."""
        size = self._size
        generator = np.random.default_rng([seed, *self.name.encode()])
        # One long strip of noise, read from another place for every frame: seeded, and far cheaper than fresh numbers.
        self._noise = np.rint(generator.normal(0, self._noise_sigma, 2 * size)).astype(np.int16)
        self._offsets = generator

    def jpeg(self, qpos: NDArray[np.float64]) -> bytes:
        """The JPEG that the camera gives of a scene's qpos (nq,), with noise."""
        return jpeg.encode(self._with_noise(self.render(qpos)))

    def render(self, qpos: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The picture (H, W, 3) uint8 RGB of a scene's qpos (nq,), without noise."""
        self._set(qpos)
        with _GL_LOCK:
            self._renderer.update_scene(self._data, self._camera, self._option)
            return self._renderer.render()

    def mask(self, qpos: NDArray[np.float64], bodies: Sequence[str]) -> NDArray[np.bool_]:
        """The pixels (H, W) of a scene's qpos (nq,) in which one of these bodies shows: what hides it is not its."""
        self._set(qpos)
        with _GL_LOCK:
            self._renderer.enable_segmentation_rendering()
            try:
                self._renderer.update_scene(self._data, self._camera, self._option)
                shown, kind = np.moveaxis(self._renderer.render(), -1, 0)
            finally:
                self._renderer.disable_segmentation_rendering()
        wanted = np.isin(self._model.geom_bodyid, [self._model.body(name).id for name in bodies])
        return (kind == mujoco.mjtObj.mjOBJ_GEOM.value) & wanted[shown]

    def fits(self, qpos: NDArray[np.float64]) -> bool:
        """Whether a state is one of this scene: it has as many numbers."""
        return qpos.shape == self._data.qpos.shape

    def _set(self, qpos: NDArray[np.float64]) -> None:
        """Put the scene into a state, and mark what of it may show."""
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        self._model.geom_group[:] = np.where(self._is_seen(), self._drawn_group, _UNSEEN)

    def close(self) -> None:
        """Free the renderer and its GL context, in the thread that made it."""
        with _GL_LOCK:
            self._renderer.close()

    def _is_seen(self) -> NDArray[np.bool_]:
        """(geoms,) which of them may show in the picture: the others took a sixth of the time of drawing."""
        data, model = self._data, self._model
        reach_m = np.where(model.geom_rbound > 0, model.geom_rbound, np.inf)  # 0: a plane has no bounds
        beyond_m = (
            (data.geom_xpos - data.cam_xpos[self._camera]) @ data.cam_xmat[self._camera].reshape(3, 3) @ self._view
        )
        return (beyond_m <= reach_m[:, None] + _SEEN_MARGIN_M).all(1)

    def _with_noise(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        start = int(self._offsets.integers(picture.size))
        noisy = picture.astype(np.int16).ravel()
        noisy += self._noise[start : start + picture.size]
        return np.clip(noisy, 0, 255, out=noisy).astype(np.uint8).reshape(picture.shape)


def _side_planes(fovy_deg: float, aspect: float) -> NDArray[np.float64]:
    """The normals (3, 5) of the planes that bound a camera's view, outwards, in its own frame (it looks along -z): left, right,
    bottom, top, behind.
    """
    up = np.tan(np.deg2rad(fovy_deg) / 2)
    across = up * aspect
    planes = np.array([(-1, 0, across), (1, 0, across), (0, -1, up), (0, 1, up), (0, 0, 1)])
    return (planes / np.linalg.norm(planes, axis=1)[:, None]).T
