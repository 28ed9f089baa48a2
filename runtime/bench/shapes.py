"""The simulated arms' shapes, measured by MuJoCo: how low a link comes, how near an arm's links come to each other; and how
well the capsules of runtime/arms/bodies.py cover them.
Called by fuzz.py, which judges by it what the limits let through, and by command.py.

It shares no arithmetic with the limits: poses, shapes and distances are the simulator's.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import SIDES, TABLE_TOP_M
from drivers.sim import scene
from drivers.sim.engine import mujoco
from drivers.sim.tasks import TASKS
from runtime.arms.bodies import capsule_ends, link_height_m, own_distance_m
from runtime.arms.limits import Limits
from runtime.config.safety_settings import Safety
from runtime.host.machine import describe
from runtime.host.progress import bar

Array = NDArray[np.float64]
_HAND = dict.fromkeys(("hand", "finger_a", "finger_b"), 6)  # follows all six joints, as scene.py builds it
_LINKS = {"base": 0, "link1": 1, "link2": 2, "link3": 3, "link4": 4, "link5": 5, "link6": 5} | _HAND
"""Bodies of an arm in drivers/sim/scene.py, and after how many joints each comes. Link 6 is the axis about which the hand
turns: it lies within link 5, and the capsule of that covers both."""
_JOINTS, _FINGERS = (
    tuple(f"joint{number}" for number in range(1, 7)),
    ("finger_a", "finger_b"),
)  # as scene.py names them
_APART = 3  # joints between links that must keep apart; nearer ones are neighbours (runtime/arms/bodies.py)
_DISTANT_M = 0.2  # chosen: what is farther apart needs no figure
_FOLDED_SHARE, _FOLDED_RAD = 0.5, 0.6  # of the poses, and their third joints at most; chosen: there an arm meets itself
_LOW_M = 0.08  # heights and distances that are compared; chosen: below the shoulder, which only turns and is left out
_ROUNDING_M = 1e-9  # by which a height may be off
_FALSE_M = 0.02  # true distance from which on a refusal counts as a false alarm of the second kind; chosen


@dataclass(frozen=True)
class _Arm:
    """One arm in the model: where its joints and fingers are in qpos, its geoms above the table, pairs that must keep apart."""

    joints: NDArray[np.int64]
    fingers: NDArray[np.int64]
    lifted: list[int]
    pairs: list[tuple[int, int]]


class SimulatedShapes:
    """Both arms of drivers/sim/scene.py in any pose."""

    def __init__(self) -> None:
        self._model: Any = scene.build_model(next(iter(TASKS.values()))())
        self._data: Any = mujoco.MjData(self._model)
        self._arms = [self._arm(side) for side in SIDES]

    def measure(self, q: Array) -> Array:
        """How low and how near links are in a pose.

        Args:
            q: (14,) rad, gripper openings m.

        Returns:
            (2, 2) of each arm the height of its lowest link over the table, fingers left out, and the smallest distance between
            links of its own, `_DISTANT_M` at most; m.
        """
        for arm, one in zip(self._arms, q.reshape(2, -1), strict=True):
            self._data.qpos[arm.joints], self._data.qpos[arm.fingers] = one[:6], one[6] / 2
        mujoco.mj_kinematics(self._model, self._data)
        return np.array([(min(map(self._height_m, arm.lifted)), self._own_distance_m(arm.pairs)) for arm in self._arms])

    def _own_distance_m(self, pairs: list[tuple[int, int]]) -> float:
        nearest = _DISTANT_M
        for first, second in pairs:
            gap = mujoco.mj_geomDistance(self._model, self._data, first, second, nearest, None)
            nearest = min(nearest, float(gap))
        return nearest

    def _height_m(self, geom: int) -> float:
        """Height over the table of the lowest point of a capsule or box."""
        size, upward = self._model.geom_size[geom], np.abs(self._data.geom_xmat[geom].reshape(3, 3)[2])
        capsule = self._model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_CAPSULE
        below = upward[2] * size[1] + size[0] if capsule else upward @ size
        return float(self._data.geom_xpos[geom, 2] - below) - TABLE_TOP_M

    def _arm(self, side: str) -> _Arm:
        model = self._model
        address = {name: int(model.joint(f"{side}/{name}").qposadr[0]) for name in (*_JOINTS, *_FINGERS)}
        names = {geom: str(model.body(model.geom_bodyid[geom]).name) for geom in range(model.ngeom)}
        links = {
            geom: _LINKS[name.removeprefix(f"{side}/")] for geom, name in names.items() if name.startswith(f"{side}/")
        }
        return _Arm(
            np.array([address[name] for name in _JOINTS]),
            np.array([address[name] for name in _FINGERS]),
            [geom for geom, link in links.items() if link > 1 and "finger" not in names[geom]],
            [(a, b) for a, first in links.items() for b, second in links.items() if second - first >= _APART],
        )


def run(poses: int, seed: int) -> dict[str, Any]:
    """Random poses within the ranges, half of them folded: what the capsules say against what is true of the simulated arm.

    Args:
        poses: Of two arms each.
        seed: Of the poses.

    Returns:
        How many arms truly touched themselves; how many were truly nearer to themselves than the limit though the capsules
        said that they were not (`missed`: must be 0); how many the capsules refused that were clear; and by how much the
        capsules are lower and nearer than the shapes, at least, at the median and at the 99th percentile. `kept`: they missed
        and left out nothing.
    """
    limits, shapes, dice = Limits.of(Safety()), SimulatedShapes(), np.random.default_rng(seed)
    found = np.empty((poses, 2, 4))  # of each arm: true height, true distance, the same by capsules
    with bar(poses, "shapes", "pose") as shown:
        for number in range(poses):
            q = dice.uniform(limits.low, limits.high)
            if dice.random() < _FOLDED_SHARE:
                q[[2, 9]] = dice.uniform(-_FOLDED_RAD, limits.high[2], 2)
            found[number, :, :2] = shapes.measure(q)
            for arm, ends in enumerate(capsule_ends(q)):
                found[number, arm, 2:] = link_height_m(ends), own_distance_m(ends)
            shown.update(1)
    return _figures(found.reshape(-1, 4), limits.min_own_distance_m) | {"seed": seed, "machine": describe()}


def _figures(found: Array, least_m: float) -> dict[str, Any]:
    height, distance, low, by_capsules = found.T
    touch, refused, missed = distance <= 0, by_capsules < least_m, (distance < least_m) & (by_capsules >= least_m)
    over = {"height": (height - low)[height < _LOW_M], "distance": (distance - by_capsules)[distance < _LOW_M]}
    return {
        "arms": len(found),
        "touch": int(touch.sum()),
        "missed": int(missed.sum()),
        "refused_though_clear": int((refused & (distance >= least_m)).sum()),
        "refused_though_20_mm_clear": int((refused & (distance > _FALSE_M)).sum()),
        "over_mm": {
            name: [round(1000 * float(value), 1) for value in (each.min(), np.median(each), np.percentile(each, 99))]
            for name, each in over.items()
        },
        "kept": not missed.any() and bool((over["height"] > -_ROUNDING_M).all()),
    }
