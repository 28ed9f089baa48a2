"""Records what happens to a task's objects in an episode, from the simulator's truth: places, touching fingers, hands.

Used by runtime/evaluation; drivers/sim/failures.py judges what was recorded.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import SIDES
from drivers.sim.failures import ObjectTrace, Trace
from drivers.sim.physics import FINGERS, Physics
from drivers.sim.tasks.task import grasp_m, place_m

_ALONG = float(np.cos(np.pi / 4))  # a contact's normal is along an axis, not across it


class EpisodeRecorder:
    """Records an episode of a scene that was reset; `note` takes a moment of it."""

    def __init__(self, physics: Physics) -> None:
        self._physics = physics
        model = physics.model
        self._fingers = [[model.geom(f"{side}/{finger}").id for finger in FINGERS] for side in SIDES]
        self._objects = {name: model.geom(name).id for name in physics.task.manipulated}  # geoms are named as bodies
        self._times_s: list[float] = []
        self._hands_m: list[list[NDArray[np.float64]]] = []
        self._seen: dict[str, list[tuple[Any, ...]]] = {name: [] for name in self._objects}

    def note(self) -> None:
        """Note the scene as it stands; takes up to a tenth of a millisecond."""
        data = self._physics.data
        self._times_s.append(float(data.time))
        self._hands_m.append([grasp_m(data, side) for side in SIDES])
        for name, geom in self._objects.items():
            fingers = [self._pressing(side, geom) for side in range(len(SIDES))]
            axis = data.body(name).xmat[2::3].copy()  # the third column of its rotation
            self._seen[name].append((place_m(data, name), axis, fingers, self._physics.task.lack_m(data, name)))

    def _pressing(self, side: int, geom: int) -> int:
        """How many fingers of a hand press on a geom with their inner faces: along the way on which they close."""
        data = self._physics.data
        pairs, normals = data.contact.geom, data.contact.frame[:, :3]
        closing = data.body(f"{SIDES[side]}/hand").xmat[1::3]  # its y axis
        pressed = (pairs == geom).any(axis=1) & (np.abs(normals @ closing) > _ALONG)
        return len(set(pairs[pressed].ravel().tolist()).intersection(self._fingers[side]))

    def trace(self) -> Trace:
        """All that was noted."""
        objects = {name: ObjectTrace(*map(np.array, zip(*seen, strict=True))) for name, seen in self._seen.items()}
        return Trace(np.array(self._times_s), np.array(self._hands_m), objects)
