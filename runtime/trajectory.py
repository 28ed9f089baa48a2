"""From chunks to one smooth timestamped trajectory: lay, join, resample. Pure; called by `arms` at every tick.

A chunk is resampled by a cubic spline, so position, velocity and acceleration are continuous inside it; `fade` makes them
continuous across the seam too. Legend: H targets in a chunk, J joints; rad, m, s.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from runtime.clock import NS_PER_S
from runtime.wire import Blend

Array = NDArray[np.float64]
_ENSEMBLE_DECAY = 0.5  # weight of a chunk relative to the one before it
_ENSEMBLE_CHUNKS = 4


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
        dt = self.dt_ns / NS_PER_S
        b = place - index
        a = 1.0 - b
        p0, p1 = self.points[index], self.points[index + 1]
        m0, m1 = self.curvature[index], self.curvature[index + 1]
        if b >= 0:
            q = a * p0 + b * p1 + ((a**3 - a) * m0 + (b**3 - b) * m1) * (dt * dt / 6)
            dq = (p1 - p0) / dt + ((3 * b * b - 1) * m1 - (3 * a * a - 1) * m0) * (dt / 6)
            ddq = a * m0 + b * m1
        else:
            dq = ((p1 - p0) / dt - (2 * m0 + m1) * (dt / 6)) * (place > -1.0)
            q, ddq = p0 + ((p1 - p0) - (2 * m0 + m1) * (dt * dt / 6)) * b, np.zeros_like(p0)
        if self.fade_s <= 0:
            return Motion(q, dq, ddq)
        remaining = _faded(self.offset, (now_ns - self.seam_ns) / NS_PER_S, self.fade_s)
        return Motion(q + remaining[0], dq + remaining[1], ddq + remaining[2])


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
    """How chunks are joined. `smoothing` weighs third differences of the targets: it takes the jitter out of them."""

    blend: Blend
    fade_s: float
    smoothing: float


def lay(q: Array, t0_ns: int, dt_ns: int, style: Style) -> Piece:
    """A chunk q (H, J) on the time line as it is, joined to nothing."""
    points = smoother(len(q), style.smoothing) @ q if style.blend != "prefix" else q  # a prefix is to be met exactly
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


def _faded(offset: Array, after_s: float, fade_s: float) -> Array:
    """The quintic that takes position, velocity and acceleration from `offset` (3, J) to zero in `fade_s`: (3, J)."""
    if after_s >= fade_s:
        return np.zeros_like(offset)
    s, duration = max(after_s, 0.0) / fade_s, fade_s
    p, v, a = offset[0], offset[1] * duration, offset[2] * duration**2
    c3 = -10 * p - 6 * v - 1.5 * a
    c4 = 15 * p + 8 * v + 1.5 * a
    c5 = -6 * p - 3 * v - 0.5 * a
    position = p + v * s + a * s * s / 2 + c3 * s**3 + c4 * s**4 + c5 * s**5
    velocity = (v + a * s + 3 * c3 * s**2 + 4 * c4 * s**3 + 5 * c5 * s**4) / duration
    acceleration = (a + 6 * c3 * s + 12 * c4 * s**2 + 20 * c5 * s**3) / duration**2
    return np.stack([position, velocity, acceleration])


@cache
def second_derivatives(count: int) -> Array:
    """(H, H) matrix that gives a natural cubic spline's second derivatives (at unit spacing) from its points."""
    system, right = np.eye(count), np.zeros((count, count))
    for row in range(1, count - 1):
        system[row, row - 1 : row + 2] = (1 / 6, 2 / 3, 1 / 6)
        right[row, row - 1 : row + 2] = (1.0, -2.0, 1.0)
    return np.asarray(np.linalg.solve(system, right), np.float64)


@cache
def smoother(count: int, weight: float) -> Array:
    """(H, H) matrix of the Whittaker smoother: least |x - q|^2 + weight |third differences of x|^2.

    Every parabola passes unchanged; at 30 Hz a weight of 10 halves what is faster than about 3 Hz.
    """
    differences = np.diff(np.eye(count), n=3, axis=0)
    return np.asarray(np.linalg.inv(np.eye(count) + weight * differences.T @ differences), np.float64)
