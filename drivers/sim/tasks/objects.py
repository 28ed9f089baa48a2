"""The things that stand on the table, each a free body of its own: bottle, cup, container, apple and what lies about.

Used by the tasks, which name them; colour, trim and girth of each are a scene's appearance. Sizes are chosen, since RoboTwin's
meshes cannot be shipped: all fit an open gripper (80 mm) with 7 mm a side or more.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import TABLE_TOP_M
from drivers.sim import shapes
from drivers.sim.appearance import Rgb, Style
from drivers.sim.colours import CREAM, DARK, Colour, opaque

_BANDS: dict[str, tuple[float, ...]] = {"band": (0.45,), "rings": (-0.5, 0.05, 0.6)}
"""Heights of what is wound about a thing, as shares of half its height from its middle: by trim."""
_THIN_M = 0.0004  # how far a label stands out; chosen: seen, not felt


@dataclass(frozen=True)
class Bottle:
    """A cylinder with a neck, its axis the body's z; stands, or lies on its side."""

    radius_m: float = 0.027
    half_height_m: float = 0.07
    mass_kg: float = 0.12

    def sized(self, style: Style) -> Self:
        """A bottle of a look's girth and height."""
        return replace(self, radius_m=style.girth * self.radius_m, half_height_m=style.height * self.half_height_m)

    def add(self, spec: Any, name: str, style: Style) -> None:
        """Add it to a scene as a free body of this name; it is placed by `put`."""
        body = free_body(spec, name)
        shapes.add_cylinder(body, name, self.radius_m, self.half_height_m, opaque(style.rgb), True, self.mass_kg)
        cap_m = (0, 0, self.half_height_m + 0.012)
        second = _second(style, CREAM)
        shapes.add_cylinder(body, f"{name}/cap", 0.4 * self.radius_m, 0.012, second, False, at_m=cap_m)
        if style.trim == "usual":
            label_m = 0.55 * self.half_height_m
            shapes.add_cylinder(body, f"{name}/label", self.radius_m + _THIN_M, label_m / 2, second, False)
        _wind(body, name, style, self.radius_m, self.half_height_m)


@dataclass(frozen=True)
class Cup:
    """A cup as a filled cylinder: fingers take it only from outside."""

    radius_m: float = 0.030
    half_height_m: float = 0.040
    mass_kg: float = 0.08

    def sized(self, style: Style) -> Self:
        """A cup of a look's girth."""
        return replace(self, radius_m=style.girth * self.radius_m)

    def add(self, spec: Any, name: str, style: Style) -> None:
        """Add it to a scene as a free body of this name; it is placed by `put`."""
        body = free_body(spec, name)
        shapes.add_cylinder(body, name, self.radius_m, self.half_height_m, opaque(style.rgb), True, self.mass_kg)
        opening_m = (0, 0, self.half_height_m)
        shapes.add_cylinder(body, f"{name}/opening", 0.85 * self.radius_m, 0.0006, opaque(DARK), False, at_m=opening_m)
        _wind(body, name, style, self.radius_m, self.half_height_m)


@dataclass(frozen=True)
class Apple:
    """A ball with a stalk, which does not collide."""

    radius_m: float = 0.032
    mass_kg: float = 0.10

    def sized(self, style: Style) -> Self:
        """An apple of a look's girth."""
        return replace(self, radius_m=style.girth * self.radius_m)

    def add(self, spec: Any, name: str, style: Style) -> None:
        """Add it to a scene as a free body of this name; it is placed by `put`. A trim shows at its stalk."""
        body = free_body(spec, name)
        shapes.add_ball(body, name, self.radius_m, opaque(style.rgb), self.mass_kg)
        stalk_m = (0, 0, self.radius_m + 0.005)
        shapes.add_cylinder(body, f"{name}/stalk", 0.003, 0.008, opaque(DARK), False, at_m=stalk_m)
        if style.trim == "rings":
            leaf_m = (0.008, 0, self.radius_m + 0.009)
            shapes.add_box(body, f"{name}/leaf", (0.008, 0.004, 0.001), _second(style, DARK), False, at_m=leaf_m)


@dataclass(frozen=True)
class Block:
    """A box, half its lengths along x, y and z given; as heavy as RoboTwin's block unless told."""

    half_m: tuple[float, float, float]
    mass_kg: float = 0.10

    def sized(self, style: Style) -> Self:
        """A block of a look's girth, along x and y."""
        x_m, y_m, z_m = self.half_m
        return replace(self, half_m=(style.girth * x_m, style.girth * y_m, z_m))

    def add(self, spec: Any, name: str, style: Style) -> None:
        """Add it to a scene as a free body of this name; it is placed by `put`."""
        body = free_body(spec, name)
        shapes.add_box(body, name, self.half_m, opaque(style.rgb), True, self.mass_kg)
        x_m, y_m, z_m = self.half_m
        for number, share in enumerate(_BANDS.get(style.trim, ())):
            half_m = (x_m + _THIN_M, y_m + _THIN_M, 0.12 * z_m)
            second = _second(style, DARK)
            shapes.add_box(body, f"{name}/band{number}", half_m, second, False, at_m=(0, 0, share * z_m))


@dataclass(frozen=True)
class Disc:
    """A flat disc, heavy enough to stay where it lies."""

    radius_m: float
    half_height_m: float
    mass_kg: float = 0.3

    def add(self, spec: Any, name: str, style: Style) -> None:
        """Add it to a scene as a free body of this name; it is placed by `put`."""
        rgba = opaque(style.rgb)
        shapes.add_cylinder(free_body(spec, name), name, self.radius_m, self.half_height_m, rgba, True, self.mass_kg)


def add_disc(
    spec: Any, name: str, xy_m: tuple[float, float], radius_m: float, thickness_m: float, style: Style
) -> None:
    """Add a disc that is fixed to the table, at a place in the world."""
    body = spec.worldbody.add_body(name=name, pos=[*xy_m, TABLE_TOP_M + thickness_m / 2])
    shapes.add_cylinder(body, name, radius_m, thickness_m / 2, opaque(style.rgb), True)


def put(data: Any, name: str, at_m: NDArray[np.float64], quaternion: tuple[float, ...] = (1, 0, 0, 0)) -> None:
    """Set an object's pose in the world, m and quaternion (w, x, y, z), and its velocity to zero."""
    data.joint(name).qpos[:] = [*at_m, *quaternion]
    data.joint(name).qvel[:] = 0


def upright(yaw_rad: float) -> tuple[float, ...]:
    """Quaternion (w, x, y, z) of a standing object that is turned about its own axis."""
    return float(np.cos(yaw_rad / 2)), 0.0, 0.0, float(np.sin(yaw_rad / 2))


def lying(yaw_rad: float) -> tuple[float, ...]:
    """Quaternion (w, x, y, z) of an object that lies with its axis (its z) along world y, turned by yaw."""
    half = np.sqrt(0.5)
    cosine, sine = np.cos(yaw_rad / 2), np.sin(yaw_rad / 2)
    return float(cosine * half), float(-cosine * half), float(-sine * half), float(sine * half)  # Rz(yaw) Rx(-90 deg)


def free_body(spec: Any, name: str) -> Any:
    """Add a body without shapes that moves freely, over the table; returns it."""
    body = spec.worldbody.add_body(name=name, pos=[0, 0, TABLE_TOP_M + 0.5])
    body.add_freejoint(name=name)
    return body


def _second(style: Style, usual: Rgb) -> Colour:
    """The colour of what is not the body: as the look says, or the usual one."""
    return opaque(style.trim_rgb or usual)


def _wind(body: Any, name: str, style: Style, radius_m: float, half_height_m: float) -> None:
    """Wind a trim's bands about a round thing."""
    for number, share in enumerate(_BANDS.get(style.trim, ())):
        half_m, at_m = 0.12 * half_height_m, (0, 0, share * half_height_m)
        rgba = _second(style, DARK)
        shapes.add_cylinder(body, f"{name}/band{number}", radius_m + _THIN_M, half_m, rgba, False, at_m=at_m)
