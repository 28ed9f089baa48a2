"""MuJoCo's renderer, which here can be given another model: making a new one takes 0.25 s, this takes 5 ms.

Used by drivers/sim/camera_renderer.py.
"""

from typing import Any

from drivers.sim.engine import mujoco

_FONT = mujoco.mjtFontScale.mjFONTSCALE_150.value  # as Renderer has it; nothing is written


class SceneRenderer(mujoco.Renderer):
    """A renderer with one GL context for its life, in the thread that made it."""

    def show(self, model: Any) -> None:
        """Draw another model from now on, with its textures; size, buffers and flags stay."""
        self._gl_context.make_current()
        self._mjr_context.free()
        self._mjr_context = mujoco.MjrContext(model, _FONT)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._mjr_context)
        self._mjr_context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._model = model
