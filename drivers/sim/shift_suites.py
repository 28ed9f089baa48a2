"""What no demonstration shows, for `--shift` (the paper's generalisation shifts, section 4.4.2): worlds drawn by seed.

Hues, textures, shapes, trims and lamps are such as training_worlds.py never draws. Every scene has a variant of its own; each
twentieth has the one fixed variant that the first suites consisted of.
"""

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from drivers.sim import colours, hues, world_draw
from drivers.sim.appearance import Appearance, Background, Lamp, Lighting, Rgb, Style, Surface
from drivers.sim.colours import BLUE, CREAM, DARK, GREEN, ORANGE, PURPLE

Shift = Literal["none", "objects", "background", "lighting", "all", "blackout"]
"""`all` is objects, background and lighting at once; `blackout` leaves the scene: System 1's pictures are black at times."""
SHIFTS: tuple[Shift, ...] = get_args(Shift)
FIRST_EVERY = 20  # seeds
SUITES = 2
"""Which suites these are, counted up whenever their scenes change: figures of others are not comparable."""

# Chosen outside of training_worlds.py's; each holds the first suite's values.
RANGES = world_draw.Ranges(
    sectors=lambda name: hues.HELD_OUT[name],
    grey_share=0.0,
    named=False,
    trims=("rings",),
    girth=(0.85, 0.97),
    height=(1.08, 1.15),
    strays=("cross", "stairs", "tower", "egg", "dumbbell"),
    families=("bricks", "dots", "zigzag", "rings"),
    textured=(1.0, 1.0),
    walls=("checker",),
    azimuth_deg=(143, 203),
    elevation_deg=(25, 60),
    lamps=(1, 2),
    lamp_saturation=(0.3, 0.6),
    white_lamp_share=0.0,
    ambient=(0.16, 0.38),
    headlight=(0.10, 0.40),
    lamp_light=(0.40, 0.85),
)

# From here on: the values of the first suites, which were chosen by eye.
_BOTTLES = {
    name: Style(rgb, girth=23 / 27, height=8 / 7) for name, rgb in (("red_bottle", ORANGE), ("green_bottle", PURPLE))
}
_CLOTH, _FLOOR = (0.30, 0.42, 0.36), (0.45, 0.47, 0.50)  # by eye
FIRST_LOOKS: dict[str, dict[str, Style]] = {
    "block_handover": {"block": Style(PURPLE, girth=0.9)},
    "container_place": {"container": Style(BLUE, girth=29 / 33)},
    "dual_bottles_pick_easy": _BOTTLES,
    "dual_bottles_pick_hard": _BOTTLES,
    "empty_cup_place": {"cup": Style(GREEN, girth=0.9)},
    "pick_apple_messy": {
        "apple": Style(GREEN, girth=29 / 32),
        "mess_bottle": Style(ORANGE),
        "mess_cup": Style(DARK),
        "mess_box": Style(CREAM),
        "mess_can": Style(PURPLE),
    },
}
"""The fixed variants that the suites had before they drew any: this and the next two."""
# By eye, as they were:
FIRST_BACKGROUND = Background(
    Surface(_CLOTH, _CLOTH, "plain", 1.0, 0), Surface(_FLOOR, _FLOOR, "plain", 1.0, 0), (0.35, 0.50, 0.42), (0.20, 0.32, 0.28)
)  # fmt: skip
# By eye, as it was:
FIRST_LIGHTING = Lighting(
    (0.18, 0.16, 0.12), (0.30, 0.30, 0.30), (Lamp((-1.4, 0.3, 1.8), (0.8, -0.1, -0.6), (0.50, 0.40, 0.24)),)
)


def instruction(task: str, shift: Shift, seed: int) -> str:
    """What a person says for a task under a shift, unless told otherwise: it names no colour that is not there."""
    return hues.wordings(task, draw(task, shift, seed).looks)[0]


def draw(task: str, shift: Shift, seed: int) -> Appearance:
    """The appearance of a scene under a shift; the same again for the same task, shift and seed."""

    def random(part: str) -> np.random.Generator:
        return np.random.default_rng([seed, *part.encode(), *task.encode()])

    first, appearance = seed % FIRST_EVERY == 0, Appearance()
    looks = {name: Style(rgb) for name, rgb in colours.USUAL[task].items()}
    if shift in ("objects", "all"):
        drawn = random("objects")
        looks = FIRST_LOOKS[task] if first else world_draw.looks(drawn, task, RANGES)
        strays = () if first else world_draw.strays(drawn, RANGES, _first_two(looks))
        appearance = replace(appearance, looks=looks, strays=strays)
    if shift in ("background", "all"):
        found = FIRST_BACKGROUND if first else world_draw.background(random("background"), RANGES, _first_two(looks))
        appearance = replace(appearance, background=found)
    if shift in ("lighting", "all"):
        lighting = FIRST_LIGHTING if first else world_draw.lighting(random("lighting"), RANGES)
        appearance = replace(appearance, lighting=lighting)
    return appearance


def _first_two(looks: dict[str, Style]) -> list[Rgb]:
    """The colours of what the hands take: the objects that a task names first."""
    return [style.rgb for style in looks.values()][:2]
