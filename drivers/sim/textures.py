"""Procedural textures: families of patterns, each drawn from a seed. Called by scene.py for tables and floors.

Every family gives a map (SIZE_PX, SIZE_PX) of shares, 0 for a surface's first colour and 1 for its second; it goes on without
a seam where it is repeated.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from drivers.sim.appearance import Surface

Shares = NDArray[np.float64]
SIZE_PX = 64  # chosen: at 8 tiles a metre a texel is 2 mm, finer than a pixel of the head camera
_ROWS, _COLUMNS = np.mgrid[0:SIZE_PX, 0:SIZE_PX] / SIZE_PX  # of each texel, 0 to 1


def pixels(surface: Surface) -> NDArray[np.uint8]:
    """The texture (SIZE_PX, SIZE_PX, 3) of a surface."""
    shares = FAMILIES[surface.family](np.random.default_rng(surface.seed))[..., None]
    mixed = np.array(surface.rgb) * (1 - shares) + np.array(surface.second_rgb) * shares
    return np.clip(np.rint(255 * mixed), 0, 255).astype(np.uint8)


def _waves(random: np.random.Generator, across: int, along: int, count: int = 12) -> Shares:
    """Smooth noise: waves of up to so many periods across and along, 0 to 1."""
    total = np.zeros_like(_ROWS)
    for _ in range(count):
        rows, columns = random.integers(-along, along + 1), random.integers(-across, across + 1)
        total += np.cos(2 * np.pi * (rows * _ROWS + columns * _COLUMNS + random.random()))
    return (total - total.min()) / max(float(np.ptp(total)), 1e-9)


def _grain(random: np.random.Generator) -> Shares:
    return _waves(random, 14, 1)


def _blotches(random: np.random.Generator) -> Shares:
    return _waves(random, 3, 3)


def _flecks(random: np.random.Generator) -> Shares:
    return random.random((SIZE_PX, SIZE_PX)) ** 2


def _checker(_: np.random.Generator) -> Shares:
    return ((_ROWS >= 0.5) ^ (_COLUMNS >= 0.5)).astype(float)


def _stripes(random: np.random.Generator) -> Shares:
    return (random.uniform(0.2, 0.8) > _COLUMNS * 2 % 1).astype(float)


def _bricks(random: np.random.Generator) -> Shares:
    joint = random.uniform(0.06, 0.14)
    row = np.floor(_ROWS * 4)
    return ((2 * joint > _ROWS * 4 % 1) | ((_COLUMNS * 2 + 0.5 * (row % 2)) % 1 < joint)).astype(float)


def _dots(random: np.random.Generator) -> Shares:
    radius = random.uniform(0.15, 0.3)
    return (np.hypot(_ROWS * 2 % 1 - 0.5, _COLUMNS * 2 % 1 - 0.5) < radius).astype(float)


def _zigzag(random: np.random.Generator) -> Shares:
    return ((_ROWS * 3 + np.abs(_COLUMNS * 2 % 1 - 0.5)) % 1 < random.uniform(0.3, 0.6)).astype(float)


def _rings(random: np.random.Generator) -> Shares:
    return (np.hypot(_ROWS - 0.5, _COLUMNS - 0.5) * 8 % 1 < random.uniform(0.3, 0.6)).astype(float)


def _plain(_: np.random.Generator) -> Shares:
    return np.zeros_like(_ROWS)


FAMILIES: dict[str, Callable[[np.random.Generator], Shares]] = {
    "plain": _plain,
    "grain": _grain,
    "blotches": _blotches,
    "flecks": _flecks,
    "checker": _checker,
    "stripes": _stripes,
    "bricks": _bricks,
    "dots": _dots,
    "zigzag": _zigzag,
    "rings": _rings,
}
