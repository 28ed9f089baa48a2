"""The mean of figures that are not all known. Used by the tables of evaluation and explanation."""

from collections.abc import Iterable
from statistics import mean


def mean_known(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are known; None where none is."""
    known = [value for value in values if value is not None]
    return mean(known) if known else None
