"""A point of a chunk's spline, and what is left of its seam's offset there. Compiled; called by trajectory.py at every tick.

Sums are fused multiply-adds from the first term on, as the matrix products are by which former sessions were recorded, and so
alike on all processors. Legend: J joints; rows are position, velocity, acceleration (q rad, gripper m, and per s, per s2).
"""

import numpy as np
from numpy.typing import NDArray

from runtime.host.compiled import compiled, fused, part

Array = NDArray[np.float64]


@part
def _of_points(b: float, dt_s: float, moves: float, weights: Array) -> None:
    """Write the weights (3, 2) of two neighbouring points at the place `b` between them."""
    speed = 1 / dt_s if b >= 0 else moves / dt_s
    weights[0, 0], weights[0, 1] = 1.0 - b, b
    weights[1, 0], weights[1, 1] = -speed, speed
    weights[2, 0], weights[2, 1] = 0.0, 0.0


@part
def _of_curvature(b: float, dt_s: float, moves: float, cube: float, weights: Array) -> None:
    """Write the weights (3, 2) of the second derivatives at these points."""
    a, bend = 1.0 - b, dt_s * dt_s / 6
    if b >= 0:
        weights[0, 0], weights[0, 1] = (a**cube - a) * bend, (b**cube - b) * bend
        weights[1, 0], weights[1, 1] = (1 - 3 * a * a) * (dt_s / 6), (3 * b * b - 1) * (dt_s / 6)
        weights[2, 0], weights[2, 1] = a * 1.0, b * 1.0
    else:  # before the first point the spline goes on straight
        speed = moves / dt_s
        weights[0, 0], weights[0, 1] = -2 * b * bend, -b * bend
        weights[1, 0], weights[1, 1] = -2 * speed * bend, -speed * bend
        weights[2, 0], weights[2, 1] = 0.0, 0.0


@part
def _of_offset(after_s: float, d: float, powers: Array, weights: Array) -> None:
    """Write the weights (3, 3): how much of an offset in position, velocity and acceleration is left in each of them.

    They are the quintic in time that begins with the offset and takes all three to zero in `d`, s.
    """
    s = max(after_s, 0.0) / d
    s2, s3, s4, s5, d2 = s ** powers[0], s ** powers[1], s ** powers[2], s ** powers[3], d ** powers[0]
    weights[0, 0] = 1 - 10 * s3 + 15 * s4 - 6 * s5
    weights[0, 1] = d * (s - 6 * s3 + 8 * s4 - 3 * s5)
    weights[0, 2] = d * d * (s2 - 3 * s3 + 3 * s4 - s5) / 2
    weights[1, 0] = (-30 * s2 + 60 * s3 - 30 * s4) / d
    weights[1, 1] = 1 - 18 * s2 + 32 * s3 - 15 * s4
    weights[1, 2] = d * (2 * s - 9 * s2 + 12 * s3 - 5 * s4) / 2
    weights[2, 0] = (-60 * s + 180 * s2 - 120 * s3) / d2
    weights[2, 1] = (-36 * s + 96 * s2 - 60 * s3) / d
    weights[2, 2] = 1 - 9 * s + 18 * s2 - 10 * s3


@compiled("f8[:,::1](f8[:,::1],f8[:,::1],f8,f8,f8,f8[::1])")
def on_spline(points: Array, curvature: Array, b: float, dt_s: float, moves: float, powers: Array) -> Array:
    """A point of a natural cubic spline.

    Args:
        points: (2, J) the neighbouring points.
        curvature: (2, J) second derivatives at them.
        b: The place between them, 0 to 1; below 0, down to -1, before the first point.
        dt_s: Between the points.
        moves: 1, or 0 where the pose before the first point is held.
        powers: `POWERS`: an exponent that is not known ahead is raised to by the same function as in Python.

    Returns:
        (3, J).
    """
    of_points, of_curvature = np.empty((3, 2)), np.empty((3, 2))
    _of_points(b, dt_s, moves, of_points)
    _of_curvature(b, dt_s, moves, powers[1], of_curvature)
    made = np.empty((3, points.shape[1]))
    for row in range(3):
        for joint in range(points.shape[1]):
            along = fused(of_points[row, 1], points[1, joint], of_points[row, 0] * points[0, joint])
            bent = fused(of_curvature[row, 1], curvature[1, joint], of_curvature[row, 0] * curvature[0, joint])
            made[row, joint] = along + bent
    return made


@compiled("f8[:,::1](f8[:,::1],f8,f8,f8[::1])")
def faded(offset: Array, after_s: float, fade_s: float, powers: Array) -> Array:
    """What is left of a seam's offset.

    Args:
        offset: (3, J) at the seam.
        after_s: Since the seam; before it the whole offset is there.
        fade_s: Until nothing is left.
        powers: `POWERS`.

    Returns:
        (3, J).
    """
    made = np.zeros_like(offset)
    if after_s >= fade_s:
        return made
    weights = np.empty((3, 3))
    _of_offset(after_s, fade_s, powers, weights)
    for row in range(3):
        for joint in range(offset.shape[1]):
            left = fused(weights[row, 1], offset[1, joint], weights[row, 0] * offset[0, joint])
            made[row, joint] = fused(weights[row, 2], offset[2, joint], left)
    return made


@compiled("f8[:,::1](f8[:,::1],f8[:,::1],f8,f8,f8[:,::1],f8,f8,f8[::1])")
def on_piece(
    points: Array,
    curvature: Array,
    place: float,
    dt_s: float,
    offset: Array,
    after_s: float,
    fade_s: float,
    powers: Array,
) -> Array:
    """A point of a whole spline, with what is left of its seam's offset. One target alone is a pose.

    Args:
        points: (H, J) of the spline.
        curvature: (H, J) second derivatives at them.
        place: Of the point, in steps of `dt_s`: 0 at the first, from -1, where the pose is held, to H - 1.
        dt_s: Between the points.
        offset: (3, J) at the seam.
        after_s: Since the seam.
        fade_s: Until nothing of the offset is left; 0: there is none.
        powers: `POWERS`.

    Returns:
        (3, J).
    """
    if len(points) == 1:
        made = np.zeros_like(offset)
        made[0] = points[0]
    else:
        index = min(max(int(place), 0), len(points) - 2)
        moves = 1.0 if place > -1.0 else 0.0
        pair = slice(index, index + 2)
        made = on_spline(points[pair], curvature[pair], place - index, dt_s, moves, powers)
    if fade_s > 0:
        made += faded(offset, after_s, fade_s, powers)
    return made


POWERS = np.array([2.0, 3.0, 4.0, 5.0])  # derived: a quintic in time has these, and a cubic the second of them
