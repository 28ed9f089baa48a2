"""Whether the arms keep clear of the table, of each other and of themselves on their way to rest. Compiled.
Called by limits.py at every tick.

It measures what collision.py, bodies.py and drivers/kinematics.py measure with arrays, which take fifty times as long for so
few poses; test_clearance.py holds them equal. Legend: P points of an arm as in collision.py, C capsules as in bodies.py, m in
the world; T (3, 4) of T_world_link.
"""

from math import cos, inf, sin, sqrt

import numpy as np
from numpy.typing import NDArray

from drivers.kinematics import DH_TABLE, FINGERTIP_M
from runtime.arms.bodies import CAPSULES, ENDS_M, LIFTED, LINKS, OPENS, PAIRS, RADII_M
from runtime.arms.collision import BEGINS, BESIDE_M, ENDS, FINGER_ROOT_M, FRAMES, PALM_M, RADIUS_M, TIPS
from runtime.host.compiled import compiled, part

Array = NDArray[np.float64]
_ROWS = np.array([(row.a_m, np.sin(row.alpha_rad), np.cos(row.alpha_rad), row.theta0_rad, row.d_m) for row in DH_TABLE])
_POINTS, _LINKS, _STOPS = 10, len(RADIUS_M), 5
"""Points of an arm (the legend of collision.py), its links, and stretches between the checked poses of a stop. Stretches:
measured over 4,000 random stops with the allowance for bends (limits.py), the real way came up to 168 mm nearer than allowed
with one stretch, 57 mm with two, never with three or more."""
_CAPSULES = len(CAPSULES)
_FIRST = np.searchsorted(LINKS, np.arange(len(DH_TABLE) + 2))  # capsule of each link, base included, and their number
_REACH_M = np.linalg.norm(ENDS_M[:, 1] - ENDS_M[:, 0], axis=1) / 2 + RADII_M  # of a capsule from its middle
_POINT_OF_LINK = np.array([1 + FRAMES.index(link) if link in FRAMES else -1 for link in range(len(DH_TABLE))])


@part
def _place_capsules(link: int, T: Array, opening_m: float, ends: Array) -> None:
    """Write the ends (C, 2, 3) of those capsules that follow a link (0 the base) at T (3, 4)."""
    for capsule in range(_FIRST[link], _FIRST[link + 1]):
        for end in range(2):
            x, y, z = ENDS_M[capsule, end]
            y += OPENS[capsule] * opening_m
            for row in range(3):
                ends[capsule, end, row] = T[row, 0] * x + T[row, 1] * y + T[row, 2] * z + T[row, 3]


@part
def _place_arm(base: Array, T: Array, q: Array, points: Array, ends: Array) -> None:
    """Write the points (P, 3) and the capsules' ends (C, 2, 3) of one arm that stands at T_world_base (4, 4).

    Its joints are q (7,). T (3, 4) is scratch space.
    """
    T[:] = base[:3]
    points[0] = T[:, 3]
    _place_capsules(0, T, q[6], ends)
    for link in range(len(_ROWS)):
        a_m, sin_alpha, cos_alpha, theta0_rad, d_m = _ROWS[link]
        cosine, sine = cos(theta0_rad + q[link]), sin(theta0_rad + q[link])
        for row in range(3):
            x, y, z = T[row, 0], T[row, 1], T[row, 2]
            tilted, along = cos_alpha * y + sin_alpha * z, cos_alpha * z - sin_alpha * y
            T[row, 0] = cosine * x + sine * tilted
            T[row, 1] = cosine * tilted - sine * x
            T[row, 2] = along
            T[row, 3] += a_m * x + d_m * along
        if _POINT_OF_LINK[link] >= 0:
            points[_POINT_OF_LINK[link]] = T[:, 3]
        _place_capsules(link + 1, T, q[6], ends)
    beside = q[6] / 2 + BESIDE_M
    for row in range(3):
        flange, across, along = T[row, 3], T[row, 1] * beside, T[row, 2]
        points[5, row] = flange + PALM_M * along
        points[6, row] = flange + FINGER_ROOT_M * along + across
        points[7, row] = flange + FINGERTIP_M * along + across
        points[8, row] = flange + FINGER_ROOT_M * along - across
        points[9, row] = flange + FINGERTIP_M * along - across


@part
def _segment_distance(p0: Array, p1: Array, q0: Array, q1: Array) -> float:
    """Smallest distance, m, between two segments whose ends are (3,) each."""
    a = b = c = d = e = 0.0
    for row in range(3):
        u, v, w = p1[row] - p0[row], q1[row] - q0[row], p0[row] - q0[row]
        a, b, c, d, e = a + u * u, b + u * v, c + v * v, d + u * w, e + v * w
    determinant = a * c - b * b
    s = (b * e - c * d) / determinant if determinant > 1e-9 else 0.0
    s = min(max(s, 0.0), 1.0)
    t = min(max((b * s + e) / max(c, 1e-12), 0.0), 1.0)
    s = min(max((b * t - d) / max(a, 1e-12), 0.0), 1.0)
    square = 0.0
    for row in range(3):
        gap = p0[row] - q0[row] + s * (p1[row] - p0[row]) - t * (q1[row] - q0[row])
        square += gap * gap
    return sqrt(square)


@part
def _sideways_gap_m(points: Array) -> float:
    """A lower bound of the arms' distance, m, from points (2, P, 3): their gap along the line between the bases."""
    along = points[0, 0] - points[1, 0]
    along /= sqrt(along[0] * along[0] + along[1] * along[1] + along[2] * along[2])
    left, right = inf, -inf
    for point in range(_POINTS):
        left = min(
            left, points[0, point, 0] * along[0] + points[0, point, 1] * along[1] + points[0, point, 2] * along[2]
        )
        right = max(
            right, points[1, point, 0] * along[0] + points[1, point, 1] * along[1] + points[1, point, 2] * along[2]
        )
    return left - right - 2 * RADIUS_M.max()


@part
def _distance_m(points: Array) -> float:
    """The smallest distance, m, between the surfaces of both arms' links, from points (2, P, 3)."""
    nearest = inf
    for left in range(_LINKS):
        for right in range(_LINKS):
            gap = _segment_distance(points[0, BEGINS[left]], points[0, ENDS[left]],
                                    points[1, BEGINS[right]], points[1, ENDS[right]])  # fmt: skip
            nearest = min(nearest, gap - RADIUS_M[left] - RADIUS_M[right])
    return nearest


@part
def _link_height_m(ends: Array) -> float:
    """How high the lowest of the capsules in LIFTED comes, m in the world, from their ends (C, 2, 3)."""
    lowest = inf
    for capsule in LIFTED:
        lowest = min(lowest, min(ends[capsule, 0, 2], ends[capsule, 1, 2]) - RADII_M[capsule])
    return lowest


@part
def _own_distance_m(ends: Array, enough_m: float) -> float:
    """The smallest distance, m, between capsules that must keep apart, from their ends (C, 2, 3); `enough_m` at most.

    Pairs whose middles are too far apart to come nearer are passed over: nine of ten.
    """
    nearest = enough_m
    for pair in range(len(PAIRS)):
        first, second = int(PAIRS[pair, 0]), int(PAIRS[pair, 1])
        reach, square = _REACH_M[first] + _REACH_M[second] + nearest, 0.0
        for row in range(3):
            between = ends[first, 0, row] + ends[first, 1, row] - ends[second, 0, row] - ends[second, 1, row]
            square += between * between / 4
        if reach < 0 or square < reach * reach:
            gap = _segment_distance(ends[first, 0], ends[first, 1], ends[second, 0], ends[second, 1])
            nearest = min(nearest, gap - RADII_M[first] - RADII_M[second])
    return nearest


@part
def clearance_m(
    q: Array, bases: Array, table_m: float, enough_m: float, own_enough_m: Array, links: Array
) -> tuple[float, float]:
    """How high the lowest fingertip and link are, and how far the arms are from each other and from themselves, in one pose.

    Args:
        q: (14,) rad, gripper openings m.
        bases: (2, 4, 4) T_world_base.
        table_m: The table's top in the world.
        enough_m: Arms that are at least this far apart along the line of their bases are not measured more exactly.
        own_enough_m: (2,) what an arm's own distance is cut off at.
        links: (2, 2) for the result: of each arm the height of its lowest link over the table, and its own distance, m.

    Returns:
        The height of the lowest fingertip over the table, m, and the distance between the arms' surfaces, m; the latter is only
        a lower bound where it is at least `enough_m`.
    """
    points, ends, room = np.empty((2, _POINTS, 3)), np.empty((_CAPSULES, 2, 3)), np.empty((3, 4))
    lowest = inf
    for arm in range(2):
        _place_arm(bases[arm], room, q[7 * arm : 7 * arm + 7], points[arm], ends)
        for tip in TIPS:
            lowest = min(lowest, points[arm, tip, 2])
        links[arm, 0] = _link_height_m(ends) - table_m
        links[arm, 1] = _own_distance_m(ends, own_enough_m[arm])
    apart = _sideways_gap_m(points)
    return lowest - table_m, apart if apart >= enough_m else _distance_m(points)


@compiled("b1(f8[::1],f8[::1],f8[::1],f8[:,:,::1],f8,f8,f8,f8[:,::1])")
def keeps_clear(
    q: Array, way: Array, here: Array, bases: Array, table_m: float, least_m: float, nearest_m: float, links_m: Array
) -> bool:
    """Whether the poses of a stop keep all distances, or at least make none smaller than it is in the pose `here`.

    Checked are six poses, evenly spaced on the straight line from `q` to `q + way`.

    Args:
        q: (14,) the pose of the candidate command, rad, gripper openings m.
        way: (14,) signed way from there until rest.
        here: (14,) the pose of the last command.
        bases: (2, 4, 4) T_world_base.
        table_m: The table's top in the world.
        least_m: Least height of a fingertip over the table.
        nearest_m: Least distance between the arms.
        links_m: (2, 2) of each arm the least height of a link over the table, and the least distance between its own links.

    Returns:
        True where the candidate may be sent.
    """
    height = distance = inf
    lowest_links, links, own_m = np.full((2, 2), inf), np.empty((2, 2)), links_m[:, 1].copy()
    for stop in range(_STOPS + 1):
        lowest, apart = clearance_m(q + stop / _STOPS * way, bases, table_m, nearest_m, own_m, links)
        height, distance = min(height, lowest), min(distance, apart)
        lowest_links = np.minimum(lowest_links, links)
    if height >= least_m and distance >= nearest_m and (lowest_links >= links_m).all():
        return True
    own_m[:] = inf
    lowest, apart = clearance_m(here, bases, table_m, inf, own_m, links)
    kept = bool(((lowest_links >= links_m) | (lowest_links >= links)).all())
    return (height >= least_m or height >= lowest) and (distance >= nearest_m or distance >= apart) and kept
