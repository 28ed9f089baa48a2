"""Where the manipulated object is in a session's pictures: known where the scene was simulated. Called by command.py."""

import numpy as np
from numpy.typing import NDArray

from drivers.errors import DriverError
from drivers.sim.camera_renderer import Eye
from drivers.sim.tasks import shifted_task
from drivers.sim.tasks.task import Task
from runtime.config.settings import Settings
from runtime.host.clock import NS_PER_S
from runtime.messaging import messages
from runtime.replay.index import Index

Mask = NDArray[np.bool_]
_LONGEST_APART_NS = NS_PER_S // 5
"""From a picture to the scene that stands for it. Chosen: scenes come at 29 Hz, and an overloaded machine loses some."""


class ObjectMasks:
    """Masks of a session's pictures, rendered again from its scene messages."""

    def __init__(self, index: Index, settings: Settings) -> None:
        self._settings = settings
        self._scenes = [message for message in index.messages.values() if isinstance(message, messages.Scene)]
        self._eyes: dict[str, Eye] = {}
        self._world: tuple[str, int] | None = None
        self._task: Task | None = None

    @property
    def why_none(self) -> str:
        """Why no object is known in this session; empty: it may be."""
        return "" if self._scenes else "holds no simulated scene, so the place of the object is unknown"

    def mask(self, frame: messages.Frame, episode: messages.Episode) -> Mask | None:
        """The pixels (H, W) of a frame that show what the hands are to take; None where that is not known."""
        scene = self._scene(frame.capture_ns, episode.number)
        if scene is None or not self._prepare(episode):
            return None
        assert self._task is not None
        eye = self._eye(frame.camera, self._task)
        return eye.mask(scene.qpos, self._task.manipulated) if eye.fits(scene.qpos) else None

    def close(self) -> None:
        """Free all renderers."""
        for eye in self._eyes.values():
            eye.close()
        self._eyes.clear()

    def _scene(self, capture_ns: int, episode: int) -> messages.Scene | None:
        """The scene nearest to a time."""
        own = [scene for scene in self._scenes if scene.episode == episode]
        nearest = min(own, key=lambda scene: abs(scene.stamp_ns - capture_ns), default=None)
        apart = nearest is not None and abs(nearest.stamp_ns - capture_ns) > _LONGEST_APART_NS
        return None if apart else nearest

    def _prepare(self, episode: messages.Episode) -> bool:
        """Make the episode's world; False where there is no such task."""
        world = (episode.task, episode.seed)
        if world != self._world:
            try:
                self._task = shifted_task(episode.task, self._settings.shift, episode.seed)
            except DriverError:
                return False
            self._world = world
            for eye in self._eyes.values():
                eye.show(self._task)
        return True

    def _eye(self, camera: str, task: Task) -> Eye:
        if camera not in self._eyes:
            size = self._settings.cameras.by_name()[camera]
            self._eyes[camera] = Eye(camera, task, size.width_px, size.height_px, 0)
        return self._eyes[camera]
