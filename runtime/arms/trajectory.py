"""From chunks to one smooth timestamped trajectory: lay, join, evaluate. Deterministic.
Called by chunk_intake.py for each chunk and by motion.py at every tick.

A chunk is resampled by a cubic spline, so position, velocity and acceleration are continuous inside it; `fade` makes them
continuous across the seam too. Legend: H targets in a chunk, J joints; q rad (grippers m), dq per s, ddq per s2.
"""

from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from runtime.arms.banded import solved
from runtime.arms.product import product
from runtime.arms.spline import POWERS, on_piece
from runtime.config.arms_settings import Numerics
from runtime.host.clock import NS_PER_S
from runtime.messaging.messages import Blend

Array = NDArray[np.float64]
_ENSEMBLE_DECAY = 0.5
"""Weight of a chunk relative to the next newer one. Chosen: ACT weighs by exp(-0.01 i) over chunks one step apart, in favour of
the oldest; here chunks are 0.1 s apart, so the newest counts as much as all older ones together."""
_ENSEMBLE_CHUNKS = 4  # derived: a fifth one would weigh 0.5^4 / (sum of 0.5^i), 3 %
_SMOOTHING_DT_NS = 33_333_333  # 30 Hz, the rate of the demonstrations, for which the setting's default was chosen
_HEAVIEST = 1e6
"""Derived: third differences' matrix has eigenvalues up to 64, so the inverse's condition is 64 times the weight; at 1e6 a
parabola of 128 targets comes out with an error of 2e-10, at 1e12 of 2e-4."""


@dataclass(frozen=True)
class Motion:
    """A point of a trajectory: position, velocity, acceleration, each (J,)."""

    q: Array
    dq: Array
    ddq: Array


@dataclass(frozen=True)
class Piece:
    """One chunk on the time line, as a spline, with the offset that its seam fades out. Times are CLOCK_MONOTONIC ns."""

    t0_ns: int
    dt_ns: int
    points: Array  # (H, J)
    curvature: Array  # (H, J): second derivatives at the points
    seam_ns: int
    offset: Array  # (3, J): position, velocity, acceleration to cancel at the seam
    fade_s: float  # 0: no fade

    @property
    def end_ns(self) -> int:
        """When the last target is due; the first is due at `t0_ns`."""
        return self.t0_ns + (len(self.points) - 1) * self.dt_ns

    def consumed(self, now_ns: int) -> int:
        """How many targets' time has come.

        Args:
            now_ns: CLOCK_MONOTONIC.

        Returns:
            0 before the first, up to H.
        """
        return int(min(max((now_ns - self.t0_ns) // self.dt_ns + 1, 0), len(self.points)))

    def at(self, now_ns: int) -> Motion:
        """The motion at a time: the cubic spline, plus what is left of the seam's offset.

        A natural spline goes on straight at its ends: one step of that leads into the first target; before it the pose is held.
        After the last target the motion of its time is given.

        Args:
            now_ns: CLOCK_MONOTONIC.

        Returns:
            q, dq, ddq, (J,) each.
        """
        last = len(self.points) - 1
        place = min(max((now_ns - self.t0_ns) / self.dt_ns, -1.0), float(last))
        after_s = (now_ns - self.seam_ns) / NS_PER_S
        dt_s = self.dt_ns / NS_PER_S
        return Motion(*on_piece(self.points, self.curvature, place, dt_s, self.offset, after_s, self.fade_s, POWERS))


@dataclass(frozen=True)
class Trajectory:
    """What is being executed: the newest piece last (only `ensemble` keeps more than one)."""

    pieces: tuple[Piece, ...] = ()
    numerics: Numerics = "lapack"  # as a snapshot that does not name it was made

    @property
    def end_ns(self) -> int:
        """When the newest piece's last target is due, 0 without any piece."""
        return self.pieces[-1].end_ns if self.pieces else 0


@dataclass(frozen=True)
class Style:
    """How chunks are joined, from the settings. `smoothing` weighs third differences of targets at 30 Hz (`smoother`)."""

    blend: Blend
    fade_s: float
    smoothing: float
    numerics: Numerics = "own"


def lay(q: Array, t0_ns: int, dt_ns: int, style: Style) -> Piece:
    """A chunk on the time line, smoothed unless it continues a prefix; joined to nothing yet.

    Args:
        q: (H, J) targets, rad, grippers m.
        t0_ns: When the first is due.
        dt_ns: Between two of them.
        style: Its smoothing and blend.

    Returns:
        The piece, without an offset.
    """
    smoothing = smoother(len(q), _weight(style.smoothing, dt_ns), style.numerics)
    points = q if style.blend == "prefix" else _times(smoothing, q, style.numerics)  # a prefix is to be met exactly
    curvature = _times(second_derivatives(len(q), style.numerics), points, style.numerics) / (dt_ns / NS_PER_S) ** 2
    return Piece(t0_ns, dt_ns, points, curvature, t0_ns, np.zeros((3, q.shape[1])), 0.0)


def join(trajectory: Trajectory, piece: Piece, seam_ns: int, commanded: Motion, style: Style) -> Trajectory:
    """Go on with `piece` from `seam_ns` on, where `commanded` was the motion.

    Targets whose time has passed stay unused; the start is matched to what was commanded up to now, never to an estimated
    latency.

    Args:
        trajectory: What was executed so far; only `ensemble` keeps pieces of it, the three newest.
        piece: As `lay` gave it.
        seam_ns: When the newest command was due.
        commanded: That command, (J,) each.
        style: `fade` lets the difference at the seam fade out within `fade_s`; the others leave it.

    Returns:
        The trajectory from `seam_ns` on.
    """
    plain = replace(piece, seam_ns=seam_ns, offset=np.zeros_like(piece.offset), fade_s=0.0)
    if style.blend == "fade":
        start = plain.at(seam_ns)
        offset = np.stack([commanded.q - start.q, commanded.dq - start.dq, commanded.ddq - start.ddq])
        plain = replace(plain, offset=offset, fade_s=style.fade_s)
    kept = trajectory.pieces[-(_ENSEMBLE_CHUNKS - 1) :] if style.blend == "ensemble" else ()
    return Trajectory((*kept, plain), style.numerics)


def evaluate(trajectory: Trajectory, now_ns: int) -> Motion | None:
    """The wanted motion at a time; of several pieces their weighted mean, the newest weighing most.

    Args:
        trajectory: What is executed.
        now_ns: CLOCK_MONOTONIC.

    Returns:
        q, dq, ddq, (J,) each; None without a piece, or after the newest one's last target.
    """
    if not trajectory.pieces or now_ns > trajectory.end_ns:
        return None
    if len(trajectory.pieces) == 1:
        return trajectory.pieces[0].at(now_ns)
    motions = [piece.at(now_ns) for piece in trajectory.pieces if now_ns <= piece.end_ns]
    if len(motions) == 1:
        return motions[0]
    weights = _ENSEMBLE_DECAY ** np.arange(len(motions) - 1, -1, -1)
    weights /= weights.sum()
    parts = [np.stack([getattr(motion, name) for motion in motions]) for name in ("q", "dq", "ddq")]
    if trajectory.numerics == "lapack":
        return Motion(*(np.tensordot(weights, part, 1) for part in parts))
    return Motion(*(product(weights[None], part)[0] for part in parts))


def _times(left: Array, right: Array, numerics: Numerics) -> Array:
    """left (N, M) @ right (M, K)."""
    return left @ right if numerics == "lapack" else product(left, np.ascontiguousarray(right, np.float64))


@cache
def second_derivatives(count: int, numerics: Numerics = "own") -> Array:
    """The matrix that gives a natural cubic spline's second derivatives at its points.

    Args:
        count: H, the number of points.
        numerics: What solves it.

    Returns:
        (H, H); times points (H, J) at unit spacing it gives (H, J). For a spacing h divide by h squared.
    """
    system, right = np.eye(count), np.zeros((count, count))
    for row in range(1, count - 1):
        system[row, row - 1 : row + 2] = (1 / 6, 2 / 3, 1 / 6)
        right[row, row - 1 : row + 2] = (1.0, -2.0, 1.0)
    if numerics == "lapack":
        return np.asarray(np.linalg.solve(system, right), np.float64)
    return solved(system, right, 1)


def _weight(smoothing: float, dt_ns: int) -> float:
    """What smooths a chunk of its own dt as `smoothing` does one of 30 Hz: third differences grow with the cube of dt."""
    return min(smoothing * (_SMOOTHING_DT_NS / dt_ns) ** 6, _HEAVIEST)


@lru_cache(maxsize=16)
def smoother(count: int, weight: float, numerics: Numerics = "own") -> Array:
    """The matrix of the Whittaker smoother (Eilers 2003): it minimises |x - q|^2 + weight |third differences of x|^2.

    Every parabola passes unchanged. At 30 Hz a weight of 10 halves what is faster than 3.3 Hz: the share that is left of a
    frequency f is 1 / (1 + weight (2 sin(pi f dt))^6).

    Args:
        count: H, the number of targets.
        weight: 0 leaves them as they are.
        numerics: What inverts it.

    Returns:
        (H, H); times targets (H, J) it gives the smoothed ones.
    """
    differences = np.diff(np.eye(count), n=3, axis=0)
    if numerics == "lapack":
        return np.asarray(np.linalg.inv(np.eye(count) + weight * differences.T @ differences), np.float64)
    return solved(np.eye(count) + weight * (differences.T @ differences), np.eye(count), 3)  # whole numbers: exact
