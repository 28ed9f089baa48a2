"""From chunks to one smooth timestamped trajectory: lay, join, resample. Deterministic; called by `arms` at every tick.

A chunk is resampled by a cubic spline, so position, velocity and acceleration are continuous inside it; `fade` makes them
continuous across the seam too. Legend: H targets in a chunk, J joints; rad, m, s.
"""

from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from runtime.host.clock import NS_PER_S
from runtime.messaging.messages import Blend

Array = NDArray[np.float64]
_ENSEMBLE_DECAY = 0.5  # weight of a chunk relative to the one before it
_ENSEMBLE_CHUNKS = 4
_SMOOTHING_DT_NS = 33_333_333
_HEAVIEST = 1e6  # beyond it the matrix cannot be inverted well


@dataclass(frozen=True)
class Motion:
    """A point of a trajectory: position, velocity, acceleration, each (J,)."""

    q: Array
    dq: Array
    ddq: Array


@dataclass(frozen=True)
class Piece:
    """One chunk on the time line, as a spline, with the offset that its seam fades out."""

    t0_ns: int
    dt_ns: int
    points: Array  # (H, J)
    curvature: Array  # (H, J): second derivatives at the points
    seam_ns: int
    offset: Array  # (3, J): position, velocity, acceleration to cancel at the seam
    fade_s: float  # 0: no fade

    @property
    def end_ns(self) -> int:
        """The time of the last target."""
        return self.t0_ns + (len(self.points) - 1) * self.dt_ns

    def consumed(self, now_ns: int) -> int:
        """Targets whose time has passed."""
        return int(min(max((now_ns - self.t0_ns) // self.dt_ns + 1, 0), len(self.points)))

    def at(self, now_ns: int) -> Motion:
        """The motion at a time: the cubic spline, plus what is left of the seam's offset.

        A natural spline goes on straight at its ends: one step of that leads into the first target, before it the pose is held.
        """
        last = len(self.points) - 1
        place = min(max((now_ns - self.t0_ns) / self.dt_ns, -1.0), float(last))
        index = min(max(int(place), 0), last - 1)
        if last == 0:  # one target is a pose
            motion = np.concatenate([self.points, np.zeros((2, self.points.shape[1]))])
        else:
            of_points, of_curvature = _spline(place - index, self.dt_ns / NS_PER_S, place > -1.0)
            motion = of_points @ self.points[index : index + 2] + of_curvature @ self.curvature[index : index + 2]
        if self.fade_s > 0:
            motion += _fading((now_ns - self.seam_ns) / NS_PER_S, self.fade_s) @ self.offset
        return Motion(*motion)


@dataclass(frozen=True)
class Trajectory:
    """What is being executed: the newest piece last (only `ensemble` keeps more than one)."""

    pieces: tuple[Piece, ...] = ()

    @property
    def end_ns(self) -> int:
        """The time of the last target, 0 without any."""
        return self.pieces[-1].end_ns if self.pieces else 0


@dataclass(frozen=True)
class Style:
    """How chunks are joined. `smoothing` weighs third differences of targets at 30 Hz: it takes the jitter out of them."""

    blend: Blend
    fade_s: float
    smoothing: float


def lay(q: Array, t0_ns: int, dt_ns: int, style: Style) -> Piece:
    """A chunk q (H, J) on the time line as it is, joined to nothing."""
    points = (
        smoother(len(q), _weight(style.smoothing, dt_ns)) @ q if style.blend != "prefix" else q
    )  # a prefix is to be met exactly
    curvature = second_derivatives(len(q)) @ points / (dt_ns / NS_PER_S) ** 2
    return Piece(t0_ns, dt_ns, points, curvature, t0_ns, np.zeros((3, q.shape[1])), 0.0)


def join(trajectory: Trajectory, piece: Piece, seam_ns: int, commanded: Motion, style: Style) -> Trajectory:
    """Go on with `piece` from `seam_ns` on, where `commanded` was the motion.

    Points in the past stay unused; the start is matched to what was commanded up to now, never to an estimated latency.
    """
    plain = replace(piece, seam_ns=seam_ns, offset=np.zeros_like(piece.offset), fade_s=0.0)
    if style.blend == "fade":
        start = plain.at(seam_ns)
        offset = np.stack([commanded.q - start.q, commanded.dq - start.dq, commanded.ddq - start.ddq])
        plain = replace(plain, offset=offset, fade_s=style.fade_s)
    kept = trajectory.pieces[-(_ENSEMBLE_CHUNKS - 1) :] if style.blend == "ensemble" else ()
    return Trajectory((*kept, plain))


def evaluate(trajectory: Trajectory, now_ns: int) -> Motion | None:
    """The wanted motion at a time, or None when the last chunk has run out."""
    if not trajectory.pieces or now_ns > trajectory.end_ns:
        return None
    live = [piece for piece in trajectory.pieces if now_ns <= piece.end_ns]
    motions = [piece.at(now_ns) for piece in live]
    if len(motions) == 1:
        return motions[0]
    weights = _ENSEMBLE_DECAY ** np.arange(len(motions) - 1, -1, -1)
    weights /= weights.sum()
    q, dq, ddq = (
        np.tensordot(weights, np.stack([getattr(motion, name) for motion in motions]), 1) for name in ("q", "dq", "ddq")
    )
    return Motion(q, dq, ddq)


def _spline(b: float, dt: float, moves: bool) -> tuple[Array, Array]:
    """Weights (3, 2) of two points, and of the second derivatives at them, in position, velocity and acceleration.

    `b` is the place between them, 0 to 1; below 0 the spline goes on straight, and before the first step nothing moves.
    """
    a = 1.0 - b
    if b >= 0:
        points = ((a, b), (-1 / dt, 1 / dt), (0.0, 0.0))
        bends = ((a**3 - a, b**3 - b), (1 - 3 * a * a, 3 * b * b - 1), (a, b))
        return np.array(points), np.array(bends) * ((dt * dt / 6,), (dt / 6,), (1.0,))
    speed = moves / dt
    bend = dt * dt / 6
    return (
        np.array(((a, b), (-speed, speed), (0.0, 0.0))),
        np.array(((-2 * b * bend, -b * bend), (-2 * speed * bend, -speed * bend), (0.0, 0.0))),
    )


def _fading(after_s: float, fade_s: float) -> Array:
    """Weights (3, 3) of an offset's position, velocity and acceleration in what is left of each after some time.

    It is the quintic that takes all three to zero in `fade_s`.
    """
    if after_s >= fade_s:
        return np.zeros((3, 3))
    d = fade_s
    s = max(after_s, 0.0) / d
    s2, s3, s4, s5 = s**2, s**3, s**4, s**5
    position = (
        1 - 10 * s3 + 15 * s4 - 6 * s5,
        d * (s - 6 * s3 + 8 * s4 - 3 * s5),
        d * d * (s2 - 3 * s3 + 3 * s4 - s5) / 2,
    )
    velocity = (
        (-30 * s2 + 60 * s3 - 30 * s4) / d,
        1 - 18 * s2 + 32 * s3 - 15 * s4,
        d * (2 * s - 9 * s2 + 12 * s3 - 5 * s4) / 2,
    )
    acceleration = (
        (-60 * s + 180 * s2 - 120 * s3) / d**2, (-36 * s + 96 * s2 - 60 * s3) / d, 1 - 9 * s + 18 * s2 - 10 * s3
    )  # fmt: skip
    return np.array((position, velocity, acceleration))


@cache
def second_derivatives(count: int) -> Array:
    """(H, H) matrix that gives a natural cubic spline's second derivatives (at unit spacing) from its points."""
    system, right = np.eye(count), np.zeros((count, count))
    for row in range(1, count - 1):
        system[row, row - 1 : row + 2] = (1 / 6, 2 / 3, 1 / 6)
        right[row, row - 1 : row + 2] = (1.0, -2.0, 1.0)
    return np.asarray(np.linalg.solve(system, right), np.float64)


def _weight(smoothing: float, dt_ns: int) -> float:
    """What smooths a chunk of its own dt as `smoothing` does one of 30 Hz: third differences grow with dt cubed."""
    return min(smoothing * (_SMOOTHING_DT_NS / dt_ns) ** 6, _HEAVIEST)


@lru_cache(maxsize=16)
def smoother(count: int, weight: float) -> Array:
    """(H, H) matrix of the Whittaker smoother: least |x - q|^2 + weight |third differences of x|^2.

    Every parabola passes unchanged; at 30 Hz a weight of 10 halves what is faster than about 3 Hz.
    """
    differences = np.diff(np.eye(count), n=3, axis=0)
    return np.asarray(np.linalg.inv(np.eye(count) + weight * differences.T @ differences), np.float64)
