"""The things that stand on the table, each a free body of its own: bottle, cup, container, apple and what lies about.

Used by the tasks, which name them. An unseen object (the paper's object shift) has another colour and is a little thicker or
thinner. Sizes are chosen, since RoboTwin's meshes cannot be shipped: all fit an open gripper (80 mm) with 7 mm a side or more.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import TABLE_TOP_M
from drivers.sim import shapes
from drivers.sim.shapes import Colour


@dataclass(frozen=True)
class Bottle:
    """A cylinder with a neck, its axis the body's z; stands, or lies on its side."""

    radius_m: float = 0.027
    half_height_m: float = 0.07
    mass_kg: float = 0.12

    def add(self, spec: Any, name: str, rgba: Colour) -> None:
        """Add it to a scene as a free body of this name; it is placed by `put`."""
        body = _free_body(spec, name)
        shapes.add_cylinder(body, name, self.radius_m, self.half_height_m, rgba, True, self.mass_kg)
        cap_m = (0, 0, self.half_height_m + 0.012)
        shapes.add_cylinder(body, f"{name}/cap", 0.4 * self.radius_m, 0.012, shapes.CREAM, False, at_m=cap_m)
        label_m = 0.55 * self.half_height_m
        shapes.add_cylinder(body, f"{name}/label", self.radius_m + 0.0004, label_m / 2, shapes.CREAM, False)


@dataclass(frozen=True)
class Cup:
    """A cup as a filled cylinder: fingers take it only from outside."""

    radius_m: float = 0.030
    half_height_m: float = 0.040
    mass_kg: float = 0.08

    def add(self, spec: Any, name: str, rgba: Colour) -> None:
        """Add it to a scene as a free body of this name; it is placed by `put`."""
        body = _free_body(spec, name)
        shapes.add_cylinder(body, name, self.radius_m, self.half_height_m, rgba, True, self.mass_kg)
        opening_m = (0, 0, self.half_height_m)
        shapes.add_cylinder(body, f"{name}/opening", 0.85 * self.radius_m, 0.0006, shapes.DARK, False, at_m=opening_m)


@dataclass(frozen=True)
class Apple:
    """A ball with a stalk, which does not collide."""

    radius_m: float = 0.032
    mass_kg: float = 0.10

    def add(self, spec: Any, name: str, rgba: Colour) -> None:
        """Add it to a scene as a free body of this name; it is placed by `put`."""
        body = _free_body(spec, name)
        shapes.add_ball(body, name, self.radius_m, rgba, self.mass_kg)
        stalk_m = (0, 0, self.radius_m + 0.005)
        shapes.add_cylinder(body, f"{name}/stalk", 0.003, 0.008, shapes.DARK, False, at_m=stalk_m)


@dataclass(frozen=True)
class Block:
    """A box, half its lengths along x, y and z given; as heavy as RoboTwin's block unless told."""

    half_m: tuple[float, float, float]
    mass_kg: float = 0.10

    def add(self, spec: Any, name: str, rgba: Colour) -> None:
        """Add it to a scene as a free body of this name; it is placed by `put`."""
        shapes.add_box(_free_body(spec, name), name, self.half_m, rgba, True, self.mass_kg)


@dataclass(frozen=True)
class Disc:
    """A flat disc, heavy enough to stay where it lies."""

    radius_m: float
    half_height_m: float
    mass_kg: float = 0.3

    def add(self, spec: Any, name: str, rgba: Colour) -> None:
        """Add it to a scene as a free body of this name; it is placed by `put`."""
        shapes.add_cylinder(_free_body(spec, name), name, self.radius_m, self.half_height_m, rgba, True, self.mass_kg)


def add_disc(
    spec: Any, name: str, xy_m: tuple[float, float], radius_m: float, thickness_m: float, rgba: Colour
) -> None:
    """Add a disc that is fixed to the table, at a place in the world."""
    body = spec.worldbody.add_body(name=name, pos=[*xy_m, TABLE_TOP_M + thickness_m / 2])
    shapes.add_cylinder(body, name, radius_m, thickness_m / 2, rgba, True)


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


def _free_body(spec: Any, name: str) -> Any:
    body = spec.worldbody.add_body(name=name, pos=[0, 0, TABLE_TOP_M + 0.5])
    body.add_freejoint(name=name)
    return body
