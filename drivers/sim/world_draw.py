"""Draws the parts of a world's appearance within ranges; whose ranges decides what may come out.

Called by training_worlds.py and shift_suites.py, which hold the ranges: both draw alike, from sets that do not meet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from drivers.cobot_magic import CAMERAS, TABLE_TOP_M
from drivers.sim import colours, hues
from drivers.sim.appearance import Background, CameraOffset, Lamp, Lighting, Rgb, Stray, Style, Surface, Vector
from drivers.sim.hues import NAMED, Sector

_FEWEST_STRAYS, _MOST_STRAYS = 2, 4  # chosen: with more, a table with five things has no room
_NAMED_SHARE = (
    0.5  # of the objects whose colour an instruction names: they keep it, so that all wordings are learnt; chosen
)
_THINGS_APART_DEG = 25.0  # of a stray's hue from those of the task's objects; chosen: a person tells them apart
_TABLE_APART = 0.40  # of the table's colours from those of what is taken, in RGB of 0 to 1; chosen by eye
_TRIES = 50  # of a draw that has to keep apart; the last one counts
_FIXED = frozenset({"mat", "plate", "coaster"})  # what the hands never take; sizes stay, for the rules
_TALL = frozenset({"red_bottle", "green_bottle"})  # whose height rules, placing and expert follow
_Drawn = TypeVar("_Drawn")


@dataclass(frozen=True)
class Ranges:
    """What may be drawn."""

    sectors: Callable[[str], tuple[Sector, ...]]  # hues, by object or kind of thing
    grey_share: float  # of colours that are grey; held-out worlds have none, since greys have no hue
    named: bool  # whether half of the named objects keep their colour
    trims: tuple[str, ...]
    girth: Sector  # beside the usual one
    height: Sector  # of what may be taller
    strays: tuple[str, ...]  # shapes
    families: tuple[str, ...]  # textures
    textured: tuple[float, float]  # shares of tables and floors that have one; the others are plain
    walls: tuple[Literal["gradient", "checker"], ...]
    azimuth_deg: Sector  # of lamps, seen from the table: 0 along x, 90 along y
    elevation_deg: Sector
    lamps: tuple[int, int]  # fewest and most
    lamp_saturation: Sector
    white_lamp_share: float  # of lamps without a hue
    ambient: Sector  # brightness
    headlight: Sector
    lamp_light: Sector  # of all lamps together


def kind_of(name: str) -> str:
    """Under which name an object's hues stand in hues.HELD_OUT."""
    return name if name in hues.HELD_OUT else "things"


def looks(random: np.random.Generator, task: str, ranges: Ranges) -> dict[str, Style]:
    """A look for each object of a task; what is not taken keeps apart in hue from what is."""
    drawn: dict[str, Style] = {}
    for name in colours.USUAL[task]:
        taken = [style.rgb for style in drawn.values()]
        if kind_of(name) == "things":
            rgb = _thing(random, ranges, taken[:1])
            drawn[name] = Style(rgb, _one(random, ranges.trims), _thing(random, ranges, [rgb]))
            continue
        rgb = _apart(
            lambda name=name: _object(random, task, name, ranges), lambda rgb, taken=taken: _differs(rgb, taken)
        )
        trim_rgb = _thing(random, ranges, [rgb])
        sized = name not in _FIXED
        girth = round(random.uniform(*ranges.girth), 4) if sized else 1.0
        height = round(random.uniform(*ranges.height), 4) if name in _TALL else 1.0
        drawn[name] = Style(rgb, _one(random, ranges.trims) if sized else "usual", trim_rgb, girth, height)
    if task.startswith("dual_bottles"):  # one shape for both, as their rule has it
        first, other = drawn["red_bottle"], drawn["green_bottle"]
        drawn["green_bottle"] = Style(other.rgb, first.trim, other.trim_rgb, first.girth, first.height)
    return drawn


def strays(random: np.random.Generator, ranges: Ranges, beside: Sequence[Rgb]) -> tuple[Stray, ...]:
    """Two to four objects, apart in hue from the colours `beside` them."""
    return tuple(
        Stray(
            kind=_one(random, ranges.strays),
            rgb=(rgb := _thing(random, ranges, beside)),
            second_rgb=_thing(random, ranges, [rgb]),
            half_m=round(random.uniform(0.018, 0.032), 4),
            height_m=round(random.uniform(0.02, 0.075), 4),
        )
        for _ in range(int(random.integers(_FEWEST_STRAYS, _MOST_STRAYS + 1)))
    )


def background(random: np.random.Generator, ranges: Ranges, taken: Sequence[Rgb]) -> Background:
    """Table, floor and walls; the table is told from the colours of what is taken off it."""

    def apart(surface: Surface) -> bool:
        both = (surface.rgb, surface.second_rgb)
        return all(np.linalg.norm(np.subtract(one, rgb)) >= _TABLE_APART for one in both for rgb in taken)

    table = _apart(lambda: _surface(random, ranges, ranges.textured[0]), apart)
    floor = _surface(random, ranges, ranges.textured[1])
    walls = _background_rgb(random, ranges), _background_rgb(random, ranges)
    wall: Literal["gradient", "checker"] = _one(random, ranges.walls)
    return Background(table, floor, *walls, wall)


def lighting(random: np.random.Generator, ranges: Ranges) -> Lighting:
    """Ambient light and lamps; their light together is drawn, so that many lamps are not brighter than one."""
    count = int(random.integers(ranges.lamps[0], ranges.lamps[1] + 1))
    shares = random.dirichlet(np.full(count, 3.0)) * random.uniform(*ranges.lamp_light)
    tint = _lamp_rgb(random, ranges)
    ambient, headlight = (random.uniform(*between) for between in (ranges.ambient, ranges.headlight))
    return Lighting(
        _scaled(tint, ambient), _scaled((1, 1, 1), headlight), tuple(_lamp(random, ranges, share) for share in shares)
    )


def cameras(random: np.random.Generator, largest_m: float, largest_rad: float) -> dict[str, CameraOffset]:
    """An offset for each camera, every coordinate up to the largest."""
    return {
        name: CameraOffset(_vector(random.uniform(-largest_m, largest_m, 3)), _vector(random.uniform(-1, 1, 3) * largest_rad))
        for name in CAMERAS
    }  # fmt: skip


def _object(random: np.random.Generator, task: str, name: str, ranges: Ranges) -> Rgb:
    words = [(word, named) for word, named in NAMED[task].items() if named[0] == name]
    if ranges.named and words and random.random() < _NAMED_SHARE:
        return hues.draw_named(random, *words[0])
    return hues.draw(random, ranges.sectors(kind_of(name)))


def _thing(random: np.random.Generator, ranges: Ranges, beside: Sequence[Rgb]) -> Rgb:
    if random.random() < ranges.grey_share:
        return hues.draw_grey(random)
    return _apart(lambda: hues.draw(random, ranges.sectors("things")), lambda rgb: _differs(rgb, beside))


def _differs(rgb: Rgb, others: Sequence[Rgb]) -> bool:
    return all(hues.apart_deg(hues.hue_deg(rgb), hues.hue_deg(other)) >= _THINGS_APART_DEG for other in others)


def _surface(random: np.random.Generator, ranges: Ranges, textured: float) -> Surface:
    family = _one(random, ranges.families) if random.random() < textured else "plain"
    return Surface(
        _background_rgb(random, ranges),
        _background_rgb(random, ranges),
        family,
        round(random.uniform(2, 8), 2),
        int(random.integers(2**31)),
    )


def _background_rgb(random: np.random.Generator, ranges: Ranges) -> Rgb:
    if random.random() < ranges.grey_share:
        return hues.draw_grey(random, (0.2, 0.92))
    return hues.draw(random, ranges.sectors("background"), (0.2, 0.7), (0.25, 0.9))


def _lamp(random: np.random.Generator, ranges: Ranges, light: float) -> Lamp:
    azimuth, elevation = (
        np.deg2rad(random.uniform(*between)) for between in (ranges.azimuth_deg, ranges.elevation_deg)
    )
    towards = np.array(
        [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)]
    )  # from the table to the lamp
    lit_m = np.array([*random.uniform(-0.15, 0.15, 2), TABLE_TOP_M])
    at_m = lit_m + random.uniform(1.6, 2.4) * towards
    return Lamp(_vector(at_m), _vector(-towards), _scaled(_lamp_rgb(random, ranges), light))


def _lamp_rgb(random: np.random.Generator, ranges: Ranges) -> Rgb:
    if random.random() < ranges.white_lamp_share:
        return hues.draw_grey(random, (1.0, 1.0))
    return hues.draw(random, ranges.sectors("lamps"), ranges.lamp_saturation, (1.0, 1.0))


def _scaled(rgb: Rgb, by: float) -> Rgb:
    red, green, blue = (round(by * channel, 5) for channel in rgb)
    return red, green, blue


def _vector(values: np.ndarray) -> Vector:
    x, y, z = (round(float(value), 5) for value in values)
    return x, y, z


def _one(random: np.random.Generator, choices: Sequence[_Drawn]) -> _Drawn:
    return choices[int(random.integers(len(choices)))]


def _apart(draw: Callable[[], _Drawn], good: Callable[[_Drawn], bool]) -> _Drawn:
    """The first good one of some draws; the last one where none is."""
    drawn = draw()
    for _ in range(_TRIES):
        if good(drawn):
            break
        drawn = draw()
    return drawn
