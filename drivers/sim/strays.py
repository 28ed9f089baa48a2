"""Objects that no task needs: their shapes, and where they lie so that they are in nobody's way.

Added by scene.py, placed by physics.py at each reset. Each collides as one box, whatever it looks like: a box's contacts with
the table are cheap.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import BASE_X_M, BASE_Y_M, TABLE_TOP_M
from drivers.sim import shapes
from drivers.sim.appearance import Stray
from drivers.sim.engine import mujoco
from drivers.sim.shapes import Colour
from drivers.sim.tasks.objects import free_body, put, upright

_PREFIX = "stray"
_MASS_KG = 0.15  # chosen, about that of a cup
_LOW_M, _HIGH_M = np.array([-0.52, -0.30]), np.array([0.52, 0.31])  # x and y; the table but for its rim
# Least distances of a stray's middle, m; chosen: a hand is 11 cm wide, a lying bottle 15 cm long, a stray at most 10 cm.
_FROM_OBJECTS_M, _FROM_WAYS_M, _FROM_EACH_OTHER_M = 0.15, 0.13, 0.11
_TRIES = 60  # chosen: a table with five things of a task on it has room left in nearly all scenes
_ASIDE_M = (0.30, 0.55)  # x and y beyond the table's far edge, where those stand that find no place on it
_FREE = 0  # mjJNT_FREE


def add(spec: Any, number: int, stray: Stray) -> None:
    """Add a stray to a scene, as a free body; `strew` places it."""
    name = f"{_PREFIX}{number}"
    body = free_body(spec, name)
    half_m, half_high_m = stray.half_m, stray.height_m / 2
    hidden = shapes.add_box(body, name, (half_m, half_m, half_high_m), (0, 0, 0, 0), True, _MASS_KG)
    hidden.group = shapes.HIDDEN_GROUP
    SHAPES[stray.kind](_Parts(body, name, (*stray.rgb, 1.0), (*stray.second_rgb, 1.0)), half_m, half_high_m)


def strew(model: Any, data: Any, goals_m: tuple[tuple[float, float], ...], random: np.random.Generator) -> None:
    """Place all strays: apart from objects, goals, each other, and the ways that hands take from their bases to those."""
    names = free_objects(model)
    strays = [name for name in names if name.startswith(_PREFIX)]
    kept = [data.joint(name).qpos[:2].copy() for name in names if name not in strays]
    kept += [np.array(goal_m) for goal_m in goals_m]
    lying: list[NDArray[np.float64]] = []
    for number, name in enumerate(strays):
        xy_m = _free_place(kept, lying, random)
        top_m = TABLE_TOP_M
        if xy_m is None:
            xy_m, top_m = np.array([_ASIDE_M[0] * (number - 1.5), _ASIDE_M[1]]), 0.0
        lying.append(xy_m)
        half_high_m = float(model.geom(name).size[2])
        put(data, name, np.array([*xy_m, top_m + half_high_m]), upright(float(random.uniform(-np.pi, np.pi))))


def free_objects(model: Any) -> list[str]:
    """The names of all free bodies of a scene."""
    return [model.joint(number).name for number in range(model.njnt) if model.jnt_type[number] == _FREE]


def _free_place(
    kept: list[NDArray[np.float64]], lying: list[NDArray[np.float64]], random: np.random.Generator
) -> NDArray[np.float64] | None:
    for _ in range(_TRIES):
        xy_m = random.uniform(_LOW_M, _HIGH_M)
        apart = all(np.hypot(*(xy_m - other)) >= _FROM_EACH_OTHER_M for other in lying)
        if apart and all(_clear(xy_m, place) for place in kept):
            return xy_m
    return None


def _clear(xy_m: NDArray[np.float64], place_m: NDArray[np.float64]) -> bool:
    """Whether a point is off a place, and off the way to it from the base of each arm that may be sent there."""
    if np.hypot(*(xy_m - place_m)) < _FROM_OBJECTS_M:
        return False
    own = [x_m for x_m in BASE_X_M.values() if x_m * place_m[0] >= 0 or abs(place_m[0]) < _FROM_WAYS_M]
    return all(_distance_m(xy_m, np.array([x_m, BASE_Y_M]), place_m) >= _FROM_WAYS_M for x_m in own)


def _distance_m(point: NDArray[np.float64], begin: NDArray[np.float64], end: NDArray[np.float64]) -> float:
    """How far a point is off a segment, m; all (2,)."""
    along = end - begin
    share = np.clip((point - begin) @ along / max(float(along @ along), 1e-9), 0, 1)
    return float(np.hypot(*(point - begin - share * along)))


class _Parts:
    """Adds the visible parts of a stray; they do not collide."""

    def __init__(self, body: Any, name: str, rgba: Colour, second: Colour) -> None:
        self._body, self._name, self._count = body, name, 0
        self.rgba, self.second = rgba, second

    def box(
        self, half_m: tuple[float, float, float], rgba: Colour, at_m: tuple[float, float, float] = (0, 0, 0)
    ) -> None:
        """A box by its half sizes."""
        shapes.add_box(self._body, self._next(), half_m, rgba, False, at_m=at_m)

    def disc(self, radius_m: float, half_m: float, rgba: Colour, z_m: float = 0.0) -> None:
        """A cylinder along z."""
        shapes.add_cylinder(self._body, self._next(), radius_m, half_m, rgba, False, at_m=(0, 0, z_m))

    def egg(
        self, half_m: tuple[float, float, float], rgba: Colour, at_m: tuple[float, float, float] = (0, 0, 0)
    ) -> None:
        """An ellipsoid by its half axes."""
        egg = shapes.add_box(self._body, self._next(), half_m, rgba, False, at_m=at_m)
        egg.type = mujoco.mjtGeom.mjGEOM_ELLIPSOID

    def _next(self) -> str:
        self._count += 1
        return f"{self._name}/{self._count}"


def _box(parts: _Parts, half_m: float, high_m: float) -> None:
    parts.box((half_m, half_m, high_m), parts.rgba)


def _book(parts: _Parts, half_m: float, high_m: float) -> None:
    parts.box((half_m, 0.7 * half_m, 0.5 * high_m), parts.rgba, (0, 0, -0.5 * high_m))


def _can(parts: _Parts, half_m: float, high_m: float) -> None:
    parts.disc(half_m, high_m, parts.rgba)
    parts.disc(0.8 * half_m, 0.0006, parts.second, high_m)


def _bowl(parts: _Parts, half_m: float, high_m: float) -> None:
    parts.disc(half_m, 0.5 * high_m, parts.rgba, -0.5 * high_m)
    parts.disc(0.85 * half_m, 0.0006, parts.second)


def _cross(parts: _Parts, half_m: float, high_m: float) -> None:
    parts.box((half_m, 0.35 * half_m, high_m), parts.rgba)
    parts.box((0.35 * half_m, half_m, high_m), parts.second)


def _stairs(parts: _Parts, half_m: float, high_m: float) -> None:
    parts.box((half_m, half_m, 0.5 * high_m), parts.rgba, (0, 0, -0.5 * high_m))
    parts.box((0.5 * half_m, half_m, 0.5 * high_m), parts.second, (-0.5 * half_m, 0, 0.5 * high_m))


def _tower(parts: _Parts, half_m: float, high_m: float) -> None:
    parts.disc(half_m, high_m / 3, parts.rgba, -high_m * 2 / 3)
    parts.disc(0.65 * half_m, high_m / 3, parts.second)
    parts.disc(0.35 * half_m, high_m / 3, parts.rgba, high_m * 2 / 3)


def _egg(parts: _Parts, half_m: float, high_m: float) -> None:
    parts.egg((half_m, 0.75 * half_m, high_m), parts.rgba)


def _dumbbell(parts: _Parts, half_m: float, high_m: float) -> None:
    parts.egg((0.5 * half_m, 0.6 * half_m, high_m), parts.rgba, (-0.6 * half_m, 0, 0))
    parts.egg((0.5 * half_m, 0.6 * half_m, high_m), parts.second, (0.6 * half_m, 0, 0))


SHAPES: dict[str, Callable[[_Parts, float, float], None]] = {
    "box": _box,
    "book": _book,
    "can": _can,
    "bowl": _bowl,
    "cross": _cross,
    "stairs": _stairs,
    "tower": _tower,
    "egg": _egg,
    "dumbbell": _dumbbell,
}
