"""The worlds that `demos.sh --randomise` shows: everything that a policy need not depend on, drawn from the episode's seed.

What the shift suites draw (shift_suites.py) lies outside of these ranges.
"""

import numpy as np

from drivers.sim import hues, world_draw
from drivers.sim.appearance import Appearance

RANGES = world_draw.Ranges(
    sectors=hues.trained,
    grey_share=0.25,
    named=True,
    trims=("usual", "plain", "band"),
    girth=(0.88, 1.04),  # the grippers open to 70 mm, the thickest container has 68.6
    height=(0.93, 1.05),
    strays=("box", "book", "can", "bowl"),
    families=("grain", "blotches", "flecks", "checker", "stripes"),
    textured=(0.5, 0.25),  # chosen: a texture costs a seventh of a picture's time
    walls=("gradient",),
    azimuth_deg=(213, 493),  # all but the suites' 143 to 203, and 10 more on either side
    elevation_deg=(25, 85),
    lamps=(1, 3),
    lamp_saturation=(0.2, 0.4),
    white_lamp_share=0.5,
    ambient=(0.20, 0.50),
    headlight=(0.10, 0.40),
    lamp_light=(0.25, 0.85),
)
_CAMERA_M, _CAMERA_RAD = 0.010, np.deg2rad(1.5)  # largest offsets of each coordinate
_EXPOSURE = (0.75, 1.3)  # chosen: the brightest worlds saturate in places, as cameras do
_NOISE_SIGMA = (1.0, 4.0)  # grey levels


def draw(task: str, seed: int) -> Appearance:
    """The world of an episode; the same again for the same task and seed."""
    random = np.random.default_rng([seed, *b"world", *task.encode()])
    looks = world_draw.looks(random, task, RANGES)
    colours = [style.rgb for style in looks.values()]
    return Appearance(
        looks=looks,
        strays=world_draw.strays(random, RANGES, colours[:2]),
        background=world_draw.background(random, RANGES, colours[:2]),
        lighting=world_draw.lighting(random, RANGES),
        cameras=world_draw.cameras(random, _CAMERA_M, _CAMERA_RAD),
        exposure=round(random.uniform(*_EXPOSURE), 4),
        noise_sigma=round(random.uniform(*_NOISE_SIGMA), 4),
    )
