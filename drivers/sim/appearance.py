"""How a scene looks: colours, trims and girths of its objects, background, lamps, cameras, and what else lies about. Data only.

Drawn by drivers/sim/training_worlds.py and shift_suites.py, applied by scene.py and the tasks, stored in episode files as JSON.
Whatever is None or not named looks as it always did. Colours are RGB, 0 to 1.
"""

from dataclasses import dataclass, field
from typing import Literal

from pydantic import TypeAdapter

Rgb = tuple[float, float, float]
Vector = tuple[float, float, float]
NOISE_SIGMA = 2.5
"""Grey levels. Chosen, about that of a small sensor indoors: a still scene must not look like a frozen camera."""


@dataclass(frozen=True)
class Style:
    """Of one object of a task: its colour, how it is trimmed and in which colour, and its size beside the usual one."""

    rgb: Rgb
    trim: str = "usual"
    trim_rgb: Rgb | None = None  # None: the usual one
    girth: float = 1.0
    height: float = 1.0


@dataclass(frozen=True)
class Stray:
    """An object that no task needs; its width and depth are twice `half_m`."""

    kind: str
    rgb: Rgb
    second_rgb: Rgb
    half_m: float
    height_m: float


@dataclass(frozen=True)
class Surface:
    """Table or floor: a texture's family that mixes two colours, so many times a metre; its pattern follows from `seed`."""

    rgb: Rgb
    second_rgb: Rgb
    family: str
    per_m: float
    seed: int


@dataclass(frozen=True)
class Background:
    """What is behind the objects; the walls are a gradient, or a checker, of two colours."""

    table: Surface
    floor: Surface
    wall_rgb: Rgb
    second_wall_rgb: Rgb
    wall: Literal["gradient", "checker"] = "gradient"


@dataclass(frozen=True)
class Lamp:
    """A lamp that shines along `direction` from `at_m`."""

    at_m: Vector
    direction: Vector
    rgb: Rgb


@dataclass(frozen=True)
class Lighting:
    """All light: ambient, a weak lamp beside each camera, and lamps in the room."""

    ambient: Rgb
    headlight: Rgb
    lamps: tuple[Lamp, ...]


@dataclass(frozen=True)
class CameraOffset:
    """How far a camera is off its place, m, and turned about its own axes, rad."""

    moved_m: Vector
    turned_rad: Vector


@dataclass(frozen=True)
class Appearance:
    """A whole world; the same in all pictures of an episode."""

    looks: dict[str, Style] = field(default_factory=dict)  # by object
    strays: tuple[Stray, ...] = ()
    background: Background | None = None
    lighting: Lighting | None = None
    cameras: dict[str, CameraOffset] = field(default_factory=dict)  # by camera
    exposure: float = 1.0  # of the light that falls into a camera
    noise_sigma: float = NOISE_SIGMA


USUAL = Appearance()
_JSON = TypeAdapter(Appearance)


def to_json(appearance: Appearance) -> str:
    """An appearance as text; `from_json` gives the same again."""
    return _JSON.dump_json(appearance).decode()


def from_json(text: str) -> Appearance:
    """The appearance that `to_json` wrote. Raises ValueError for another text."""
    return _JSON.validate_json(text)
