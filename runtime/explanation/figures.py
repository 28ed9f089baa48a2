"""The figures of maps: their share on the manipulated object, and how stable they are; as a table and as JSON.
Called by command.py.

Stability is Pearson's correlation of a map, on its layer's grid, with the map of the same chunk made of pictures that are all
one camera frame older; joints, instruction, committed targets and noise stay. So it says what a thirtieth of a second changes.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.explanation import SCALAR
from runtime.host.means import mean_known

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]
STABILITY = "correlation of a map with that of pictures one camera frame older, all else the same"
SHARE = "share of a map that lies on the manipulated object, in the picture's pixels"
AREA = "share of the picture that the object covers: what a map without a preference has on it"


@dataclass(frozen=True)
class Cell:
    """One layer at one moment; None where a figure cannot be known."""

    area: float | None
    """Of the object in the picture, 0 to 1."""
    share: float | None
    """Of the map on the object, 0 to 1."""
    stability: float | None
    """-1 to 1."""


@dataclass(frozen=True)
class Column:
    """One moment of a session."""

    at_s: float
    chunk: int
    motion_rad2: float
    cells: dict[str, Cell]
    """By layer."""


@dataclass(frozen=True)
class Explained:
    """A session's figures."""

    session: str
    task: str
    shift: str
    seed: int
    checkpoint: str
    unknown: str
    """Why the object is not known; empty: it is."""
    columns: tuple[Column, ...]

    def layers(self) -> dict[str, Cell]:
        """The means over all moments in which a figure is known, by layer."""
        names = list(dict.fromkeys(name for column in self.columns for name in column.cells))
        return {name: _mean_cell([column.cells[name] for column in self.columns]) for name in names}


def share(found: Map, mask: Mask) -> float | None:
    """The share of a map on a mask.

    Args:
        found: (H, W) at least 0, in the picture's pixels.
        mask: (H, W).

    Returns:
        0 to 1; None where the map is 0 everywhere, or the mask is empty.
    """
    total = float(found.sum(dtype=np.float64))
    return float(found[mask].sum(dtype=np.float64)) / total if total > 0 and mask.any() else None


def stability(found: Map, before: Map | None) -> float | None:
    """Pearson's correlation of two maps (h, w); None where there is but one, or one of them is the same everywhere."""
    if before is None or np.ptp(found) == 0 or np.ptp(before) == 0:
        return None
    return float(np.corrcoef(found.ravel(), before.ravel())[0, 1])


def cell(found: Map, before: Map | None, placed: Map, mask: Mask | None) -> Cell:
    """The figures of a layer.

    Args:
        found: (h, w) on the layer's grid.
        before: That of pictures one frame older; None: they are lost.
        placed: (H, W) the map in the picture's pixels.
        mask: (H, W) where the object is; None: unknown.
    """
    area = None if mask is None else float(mask.mean())
    on_object = None if mask is None else share(placed, mask)
    return Cell(area, on_object, stability(found, before))


def _mean_cell(cells: Sequence[Cell]) -> Cell:
    return Cell(
        mean_known(one.area for one in cells if one.share is not None),  # so that both speak of the same pictures
        mean_known(one.share for one in cells),
        mean_known(one.stability for one in cells),
    )


def table(sessions: Sequence[Explained]) -> list[str]:
    """A line for each layer of each session, under one of heading."""
    width = max(len(name) for session in sessions for name in session.layers())
    lines = [f"{'layer':<{width}}  {'covered':>8}  {'on object':>9}  {'stable':>6}"]
    for one in sessions:
        moments = f"{len(one.columns)} moment{'s' * (len(one.columns) != 1)}"
        motion = mean(column.motion_rad2 for column in one.columns)
        lines.append(f"{one.session}: {one.task}, shift {one.shift}; {moments}, mean motion {motion:.3f} rad^2")
        for name, found in one.layers().items():
            stable = "-" if found.stability is None else f"{found.stability:.2f}"
            covered, on_object = _percent(found.area), _percent(found.share)
            lines.append(f"{name:<{width}}  {covered:>8}  {on_object:>9}  {stable:>6}")
    return lines


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def to_json(sessions: Sequence[Explained]) -> dict[str, Any]:
    """All figures, and what they mean."""
    return {
        "scalar": SCALAR,
        "share": SHARE,
        "area": AREA,
        "stability": STABILITY,
        "sessions": [
            {
                "session": one.session,
                "task": one.task,
                "shift": one.shift,
                "seed": one.seed,
                "checkpoint": one.checkpoint,
                "object_unknown": one.unknown,
                "layers": {name: asdict(found) for name, found in one.layers().items()},
                "moments": [
                    {
                        "at_s": round(column.at_s, 3),
                        "chunk": column.chunk,
                        "motion_rad2": column.motion_rad2,
                        "layers": {name: asdict(found) for name, found in column.cells.items()},
                    }
                    for column in one.columns
                ],
            }
            for one in sessions
        ],
    }
