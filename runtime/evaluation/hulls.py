"""The area that hands' paths take in a plane: their convex hull, with how much of it hangs on single episodes.
Called by distribution.py and hand_paths_plot.py.

A hull only grows with more paths. So areas compare at equal numbers of paths, and the bootstrap interval, whose draws leave
paths out, ends at the area itself or below it. A single path has an area too, since a hand goes down and up by different ways:
hands that always go alike have that area, and no breadth.
"""

from collections.abc import Sequence
from statistics import mean
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

Points = NDArray[np.float64]  # (N, 2) m
_CM2_OF_M2 = 1e4  # by definition
_DRAWS = 1000  # of the bootstrap; the usual number
_PERCENT = (2.5, 97.5)  # of a 95 % interval


class Area(NamedTuple):
    """What paths take, cm^2."""

    all_cm2: float  # the hull of all of them
    low_cm2: float  # this and the next: 95 % bootstrap interval
    high_cm2: float
    one_cm2: float  # the hull of a path alone, the mean


def outline(points: Points) -> Points:
    """The corners of the convex hull of points (N, 2), one after the other (V, 2); none where all lie on a line."""
    try:
        return points[ConvexHull(points).vertices]
    except (QhullError, ValueError):  # on a line; fewer than three
        return np.empty((0, 2))


def area_cm2(paths: Sequence[Points]) -> float:
    """The area of the convex hull of all paths (T, 2) m together, cm^2."""
    corners = outline(np.concatenate(paths))
    return _CM2_OF_M2 * float(ConvexHull(corners).volume) if len(corners) else 0.0  # in a plane its volume is the area


def interval_cm2(paths: Sequence[Points]) -> tuple[float, float]:
    """The 95 % bootstrap interval of that area, of episodes drawn with replacement; the same again for the same paths."""
    corners = [own if len(own := outline(path)) else path for path in paths]  # all that a hull of several needs
    random = np.random.default_rng(0)
    draws = random.integers(len(corners), size=(_DRAWS, len(corners)))
    areas = [area_cm2([corners[place] for place in np.unique(draw)]) for draw in draws]
    low, high = np.percentile(areas, _PERCENT)
    return float(low), float(high)


def spanned(paths: Sequence[Points]) -> Area:
    """The area of paths (T, 2) m with what it has to be seen beside."""
    return Area(area_cm2(paths), *interval_cm2(paths), mean(area_cm2([path]) for path in paths))
