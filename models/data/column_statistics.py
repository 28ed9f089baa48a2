"""Statistics of a dataset's columns that come in parts, as LeRobot names them: extremes, mean, spread and quantiles.

Made by models/data/lerobot_writer.py, an instance a feature. Policies that normalise by quantiles (pi0.5) need `q01` and `q99`.
Legend: n rows of a part, c columns.
"""

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}  # LeRobot's, since its format 3
_LEVELS = 256  # of a colour
Floats = NDArray[np.float64]


class ColumnStatistics:
    """Least, greatest, mean and standard deviation of each column of rows (n, c) that come in parts; in float64."""

    def __init__(self) -> None:
        self._count = 0
        self._low = self._high = self._sum = self._squares = np.zeros(0)

    def add(self, rows: NDArray[Any]) -> None:
        """Take in rows (n, c), n at least 1; c is the same every time."""
        values = rows.astype(np.float64)
        low, high, total, squares = values.min(0), values.max(0), values.sum(0), np.square(values).sum(0)
        if self._count:
            low, high = np.minimum(low, self._low), np.maximum(high, self._high)
            total, squares = total + self._sum, squares + self._squares
        self._low, self._high, self._sum, self._squares = low, high, total, squares
        self._count += len(values)

    @abstractmethod
    def quantile(self, share: float) -> Floats:
        """The value (c,) below which a share of each column lies."""

    def summary(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """The statistics as LeRobot names them, with the count of rows; `shape` is that of each value, () for a plain row."""
        mean = self._sum / self._count
        spread = np.sqrt(np.maximum(self._squares / self._count - mean**2, 0))
        values = {"min": self._low, "max": self._high, "mean": mean, "std": spread}
        values |= {name: self.quantile(share) for name, share in QUANTILES.items()}
        return {name: (v.reshape(shape) if shape else v).tolist() for name, v in values.items()} | {
            "count": [self._count]
        }


class NumberStatistics(ColumnStatistics):
    """Of numbers, of which all are kept: 14 joints of an hour are 6 MB."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[NDArray[Any]] = []

    def add(self, rows: NDArray[Any]) -> None:
        super().add(rows)
        self._parts.append(rows)

    def quantile(self, share: float) -> Floats:
        return np.quantile(np.concatenate(self._parts).astype(np.float64), share, axis=0)


class ColourStatistics(ColumnStatistics):
    """Of colours, given as uint8, in 0..1: how often each level was there says every quantile, without the pictures."""

    def __init__(self) -> None:
        super().__init__()
        self._seen = np.zeros((0, _LEVELS), np.int64)

    def add(self, rows: NDArray[np.uint8]) -> None:
        super().add(rows / 255.0)
        seen = np.stack([np.bincount(column, minlength=_LEVELS) for column in rows.T])
        self._seen = seen if not len(self._seen) else self._seen + seen

    def quantile(self, share: float) -> Floats:
        reached = self._seen.cumsum(1) >= share * self._count
        return reached.argmax(1) / (_LEVELS - 1)
