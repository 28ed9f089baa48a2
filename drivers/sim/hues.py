"""Which colours an object may have: in training, in the shift suites, and where an instruction names its colour.

Used by training_worlds.py and shift_suites.py. Training draws hues at least MARGIN_DEG away from every hue that the suites draw
for the same kind of thing: its sectors are what the held-out ones leave. Sectors are degrees of the colour wheel, from the
first to the second, which may lie beyond 360.
"""

import colorsys
import re
from collections.abc import Mapping

import numpy as np

from drivers.sim.appearance import Rgb, Style
from drivers.task_names import INSTRUCTIONS

Sector = tuple[float, float]
Named = tuple[str, Sector, float, float]  # object, hues, least saturation and brightness
MARGIN_DEG = 20.0  # chosen: a third of the way from red to yellow
GREY = 0.15  # saturation below which a colour has no hue to speak of; chosen: so are the usual floor and plate
# By object, or by kind of thing. Each holds the hue of the fixed shift that the first suites had (shift_suites.FIRST) and
# leaves out the colour that the object usually has, and that instructions name.
HELD_OUT: dict[str, tuple[Sector, ...]] = {
    "apple": ((95, 170),),  # green; usually red
    "block": ((250, 310),),  # purple; red
    "mat": ((280, 330),),  # purple; blue
    "red_bottle": ((26, 60), (250, 310)),  # orange and purple, as the other bottle; red
    "green_bottle": ((26, 60), (250, 310)),  # green
    "container": ((195, 255),),  # blue; yellow
    "plate": ((275, 330),),  # purple; white
    "cup": ((95, 170),),  # green; blue
    "coaster": ((270, 330),),  # purple; orange
    "things": ((70, 95), (155, 203)),  # lime and cyan: what lies about, labels and caps
    "background": ((125, 175), (255, 300)),  # the green of the first suite's cloth and walls; violet
    "lamps": ((15, 60),),  # warm
}
# What instructions name: by task, word and object, in which sector it is called so, and its least saturation and brightness;
# chosen by eye.
NAMED: dict[str, dict[str, Named]] = {
    "block_handover": {"blue": ("mat", (205, 245), 0.5, 0.45)},
    "container_place": {"yellow": ("container", (44, 60), 0.55, 0.7), "white": ("plate", (0, 360), 0.0, 0.82)},
    "dual_bottles_pick_easy": {
        "red": ("red_bottle", (347, 366), 0.6, 0.5),
        "green": ("green_bottle", (105, 155), 0.5, 0.3),
    },
    "dual_bottles_pick_hard": {
        "red": ("red_bottle", (347, 366), 0.6, 0.5),
        "green": ("green_bottle", (105, 155), 0.5, 0.3),
    },
    "empty_cup_place": {"orange": ("coaster", (18, 38), 0.6, 0.7)},
    "pick_apple_messy": {"red": ("apple", (348, 368), 0.6, 0.5)},
}
_MOST_WHITE = 0.12  # saturation up to which a bright colour is called white; chosen below GREY


def trained(name: str) -> tuple[Sector, ...]:
    """The sectors that training draws from, by object or kind of thing: all but the held-out ones, and MARGIN_DEG on."""
    held = sorted(HELD_OUT[name])
    following = [*held[1:], (held[0][0] + 360, held[0][1] + 360)]
    return tuple(
        (ends + MARGIN_DEG, begins - MARGIN_DEG) for (_, ends), (begins, _) in zip(held, following, strict=True)
    )


def hue_deg(rgb: Rgb) -> float:
    """A colour's hue, 0 to 360."""
    return 360 * colorsys.rgb_to_hsv(*rgb)[0]


def saturation(rgb: Rgb) -> float:
    """A colour's saturation, 0 to 1; below GREY its hue counts for nothing."""
    return colorsys.rgb_to_hsv(*rgb)[1]


def apart_deg(one: float, other: float) -> float:
    """The angle between two hues, 0 to 180."""
    return abs((one - other + 180) % 360 - 180)


def within(hue: float, sectors: tuple[Sector, ...]) -> bool:
    """Whether a hue lies in any of the sectors."""
    return any((hue - begins) % 360 <= ends - begins for begins, ends in sectors)


def draw(
    random: np.random.Generator, sectors: tuple[Sector, ...], saturations: Sector = (0.4, 0.95), values: Sector = (0.4, 0.95)
) -> Rgb:  # fmt: skip
    """A colour of a hue in these sectors, all hues alike likely."""
    place = random.uniform(0, sum(ends - begins for begins, ends in sectors))
    hue = 0.0
    for begins, ends in sectors:
        hue = begins + place
        if hue < ends:
            break
        place -= ends - begins
    return _rgb(hue, random.uniform(*saturations), random.uniform(*values))


def draw_grey(random: np.random.Generator, values: Sector = (0.1, 0.95)) -> Rgb:
    """A grey, a little warm or cold."""
    return _rgb(random.uniform(0, 360), random.uniform(0, _MOST_WHITE), random.uniform(*values))


def draw_named(random: np.random.Generator, word: str, named: Named) -> Rgb:
    """A colour that is called by the word."""
    _, sector, least_saturation, least_value = named
    if word == "white":
        return draw_grey(random, (least_value, 0.97))
    return draw(random, (sector,), (least_saturation, 0.95), (least_value, max(0.85, least_value + 0.1)))


def is_called(word: str, named: Named, rgb: Rgb) -> bool:
    """Whether a colour is called by the word."""
    _, sector, least_saturation, least_value = named
    _, found, value = colorsys.rgb_to_hsv(*rgb)
    if word == "white":
        return found <= _MOST_WHITE and value >= least_value - 1e-6
    return within(hue_deg(rgb), (sector,)) and found >= least_saturation - 1e-6 and value >= least_value - 1e-6


def wordings(task: str, looks: Mapping[str, Style]) -> tuple[str, ...]:
    """A task's instructions that name no colour which its objects do not have; objects without a look have their usual one."""
    wrong = {
        word
        for word, named in NAMED[task].items()
        if named[0] in looks and not is_called(word, named, looks[named[0]].rgb)
    }
    return tuple(text for text in INSTRUCTIONS[task] if wrong.isdisjoint(re.findall(r"[a-z]+", text)))


def _rgb(hue: float, saturated: float, value: float) -> Rgb:
    red, green, blue = colorsys.hsv_to_rgb(hue % 360 / 360, saturated, value)
    return round(red, 4), round(green, 4), round(blue, 4)
