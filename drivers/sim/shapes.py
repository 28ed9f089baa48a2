"""The primitives that the scene and its objects are made of, with the contact settings under which grasps hold.

Used by drivers/sim/scene.py and the tasks. Lengths are half sizes in metres, as MuJoCo takes them; `at_m` is the place in the
body's frame. Contact values were tuned together with the scene's.
"""

from typing import Any

from drivers.sim.colours import Colour
from drivers.sim.engine import mujoco

HIDDEN_GROUP = 3  # of geoms that collide but are not drawn: MuJoCo's renderers show groups 0 to 2


def add_box(
    body: Any,
    name: str,
    half_m: tuple[float, float, float],
    rgba: Colour,
    collides: bool,
    mass_kg: float | None = None,
    at_m: tuple[float, float, float] = (0, 0, 0),
) -> Any:
    """Add a box to a body, colliding with everything or with nothing, and then of mass 0 unless told. Returns the geom."""
    return _add(body, name, mujoco.mjtGeom.mjGEOM_BOX, half_m, rgba, collides, mass_kg, at_m)


def add_cylinder(
    body: Any,
    name: str,
    radius_m: float,
    half_height_m: float,
    rgba: Colour,
    collides: bool,
    mass_kg: float | None = None,
    at_m: tuple[float, float, float] = (0, 0, 0),
) -> Any:
    """Add a cylinder along the body's z; collides and weighs as a box does. Returns the geom."""
    size = (radius_m, half_height_m, 0)
    return _add(body, name, mujoco.mjtGeom.mjGEOM_CYLINDER, size, rgba, collides, mass_kg, at_m)


def add_ball(body: Any, name: str, radius_m: float, rgba: Colour, mass_kg: float) -> Any:
    """Add a ball that collides and rolls badly, like fruit. Returns the geom."""
    ball = _add(body, name, mujoco.mjtGeom.mjGEOM_SPHERE, (radius_m, 0, 0), rgba, True, mass_kg, (0, 0, 0))
    ball.condim = 6
    ball.friction = (1.0, 0.02, 0.002)
    return ball


def _add(
    body: Any,
    name: str,
    kind: Any,
    size: tuple[float, float, float],
    rgba: Colour,
    collides: bool,
    mass_kg: float | None,
    at_m: tuple[float, float, float],
) -> Any:
    extra = {"mass": mass_kg} if mass_kg is not None else {"mass": 0.0} if not collides else {}
    return body.add_geom(
        name=name,
        type=kind,
        size=size,
        pos=at_m,
        rgba=rgba,
        contype=int(collides),
        conaffinity=int(collides),
        condim=4,
        friction=(1.0, 0.02, 0.001),
        solref=(0.01, 1),
        **extra,
    )
