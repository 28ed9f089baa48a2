"""The strip of a session's explanation: a row a layer, a column a moment, each picture grey with its map in colour on it.
Called by command.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from runtime.explanation.figures import Cell
from runtime.host import captions
from runtime.host.captions import INK, LINE_PX, MARGIN_PX, PAPER

WIDTH_PX, GUTTER_PX, GAP_PX = 256, 150, 3  # of a picture, of the rows' names, between pictures; chosen by eye
_COLUMN_LINES = 2  # over each column
_OUTLINE = (0, 255, 255)  # of the object; chosen by eye, no map has it
_RAMP = np.array([(120, 0, 40), (220, 30, 0), (255, 140, 0), (255, 240, 80)], float)  # from 0 to the highest; by eye
_MOST_OPAQUE, _DIMMED = 0.85, 0.8  # where the map is highest, and the picture below; by eye
LEGEND = (
    "Bright: what makes the arms move more. Each map has a scale of its own: compare brightness within one map only.",
    "Cyan: the object to take. on object: share of a map on it. stable: correlation with the map one frame before.",
)
_HEADING = 1 + len(LEGEND)  # lines over everything


@dataclass(frozen=True)
class Shown:
    """One picture of the strip."""

    picture: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    found: NDArray[np.float32]
    """(H, W) the map in its pixels, at least 0."""
    mask: NDArray[np.bool_] | None
    """(H, W) where the object is."""
    cell: Cell


@dataclass(frozen=True)
class Shots:
    """One column."""

    at_s: float
    motion_rad2: float
    shown: dict[str, Shown]
    """By layer, all of the rows."""


def strip(title: str, rows: Sequence[tuple[str, ...]], columns: Sequence[Shots]) -> Image.Image:
    """The whole strip.

    Args:
        title: Of which session; as much of it is shown as fits.
        rows: Lines beside each row, the first of them the layer's name.
        columns: One a moment.

    Returns:
        The picture: a gutter, then WIDTH_PX a column with gaps of GAP_PX.
    """
    heights = [_height_px(columns[0].shown[names[0]].picture) for names in rows]
    tops = np.cumsum([(_HEADING + _COLUMN_LINES) * LINE_PX, *(height + GAP_PX for height in heights)]).tolist()
    made = Image.new("RGB", (GUTTER_PX + len(columns) * (WIDTH_PX + GAP_PX), tops[-1]), PAPER)
    draw = ImageDraw.Draw(made, "RGBA")
    _write(draw, (0, 0), (title, *LEGEND), made.width)
    for names, y in zip(rows, tops, strict=False):
        _write(draw, (0, y), names, GUTTER_PX)
    for place, column in enumerate(columns):
        x = GUTTER_PX + place * (WIDTH_PX + GAP_PX)
        motion = f"motion {column.motion_rad2:.3f} rad^2"
        _write(draw, (x, _HEADING * LINE_PX), (f"{column.at_s:.1f} s", motion), WIDTH_PX)
        for names, y, height in zip(rows, tops, heights, strict=False):
            shown = column.shown[names[0]]
            made.paste(_painted(shown, height), (x, y))
            corner = (x + MARGIN_PX, y + height - MARGIN_PX)
            captions.label(draw, corner, caption(shown), captions.font())
    return made


def caption(shown: Shown) -> str:
    """A picture's figures: how much of its map lies on the object, and how stable it is."""
    if not shown.found.any():
        return "no place makes the arms move more"
    share, stable = shown.cell.share, shown.cell.stability
    on_object = "-" if share is None else f"{100 * share:.0f} %"
    return f"on object: {on_object}   stable: {'-' if stable is None else f'{stable:.2f}'}"


def painted(picture: NDArray[np.uint8], found: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A picture in grey with a map glowing on it.

    Args:
        picture: (H, W, 3) RGB.
        found: (H, W) at least 0; one that is 0 everywhere leaves the grey picture.

    Returns:
        (H, W, 3) RGB.
    """
    grey = _DIMMED * np.repeat(picture.mean(2, keepdims=True), 3, axis=2)
    strength = found / found.max() if found.max() > 0 else found
    ends = np.linspace(0, 1, len(_RAMP))
    glow = np.stack([np.interp(strength, ends, _RAMP[:, channel]) for channel in range(3)], axis=-1)
    opaque = _MOST_OPAQUE * strength[..., None]
    return np.rint((1 - opaque) * grey + opaque * glow).astype(np.uint8)


def _painted(shown: Shown, height_px: int) -> Image.Image:
    image = Image.fromarray(painted(shown.picture, shown.found)).resize((WIDTH_PX, height_px), Image.Resampling.BICUBIC)
    if shown.mask is not None:
        large = Image.fromarray(shown.mask).resize((WIDTH_PX, height_px), Image.Resampling.NEAREST)
        image.paste(_OUTLINE, mask=Image.fromarray(outline(np.asarray(large))))
    return image


def outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels around a mask (H, W): outside of it, with a neighbour in it."""
    wide = np.pad(mask, 1)
    beside = wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]
    return beside & ~mask


def _height_px(picture: NDArray[np.uint8]) -> int:
    return max(LINE_PX, round(picture.shape[0] * WIDTH_PX / picture.shape[1]))


def _write(draw: ImageDraw.ImageDraw, corner: tuple[int, int], lines: Sequence[str], width_px: int) -> None:
    letters = captions.font()
    for number, text in enumerate(lines):
        place = (corner[0] + MARGIN_PX, corner[1] + number * LINE_PX + LINE_PX // 2)
        draw.text(place, captions.fitted(text, letters, width_px), fill=INK, font=letters, anchor="lm")
