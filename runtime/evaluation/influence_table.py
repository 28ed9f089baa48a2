"""What `influence.sh` found, as a table and as JSON: each figure's mean over scenes, with the interval that few scenes leave.
Called by influence.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from scipy.stats import t as student

from models.influence import Influence

_WORDS = {
    "tokens_rad": "another scene's tokens move the chunk by",
    "pictures_rad": "another scene's images move it by",
    "to_tell_rad": "another scene's demonstration differs by",
    "own_error_rad": "error of the chunk with its own tokens",
    "mean_error_rad": "error with the mean of all scenes' tokens",
    "other_error_rad": "error with another scene's tokens",
    "understood_rad": "error reduced by own tokens, against their mean",
    "kept_share": "share of a prefix's offset in the next target",
}
_LABEL, _COLUMN = 50, 22  # letters; chosen: three steps fit 112


@dataclass(frozen=True)
class Row:
    """One task at one step."""

    task: str
    step: int
    scenes: tuple[str, ...]
    found: tuple[Influence, ...]

    def of_scenes(self, name: str) -> list[float]:
        """A figure of each scene; empty where the policy has none."""
        values = [getattr(one, name) for one in self.found]
        return [] if None in values else values

    def to_json(self) -> dict[str, Any]:
        """Plain values: of each figure its mean, the interval of that, and what it is in each scene."""
        figures: dict[str, Any] = {}
        for name in _WORDS:
            if values := self.of_scenes(name):
                low, high = interval(values)
                figures[name] = {"mean": mean(values), "low": low, "high": high, "scenes": values}
        return {"task": self.task, "step": self.step, "scenes": list(self.scenes), "figures": figures}


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean of at least two values (Student's t). Scenes count as independent, though they are compared
    with each other."""
    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return mean(values) - half, mean(values) + half


def lines(rows: Sequence[Row]) -> list[str]:
    """One task's table, a column a step."""
    counts = {len(row.found) for row in rows}
    scenes = f"{min(counts)} scenes" if len(counts) == 1 else f"{min(counts)} to {max(counts)} scenes"
    head = f"{rows[0].task}, {scenes}"
    table = [f"{head:<{_LABEL}}" + "".join(f"{f'step {row.step}':>{_COLUMN}}" for row in rows)]
    for name, words in _WORDS.items():
        cells = [_cell(name, row.of_scenes(name)) for row in rows]
        table.append(f"  {words:<{_LABEL - 2}}" + "".join(f"{cell:>{_COLUMN}}" for cell in cells))
    return table


def _cell(name: str, values: Sequence[float]) -> str:
    """Mean and half the interval: rad, or % of a share."""
    if not values:
        return "-"
    middle, half = mean(values), (interval(values)[1] - interval(values)[0]) / 2
    return f"{100 * middle:.0f} ± {100 * half:.0f} %" if name == "kept_share" else f"{middle:.4f} ± {half:.4f} rad"
