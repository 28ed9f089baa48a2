"""How many steps a second a demonstration has, by its times or velocities; and bringing it to our own rate.

Called by the readers beside it. Legend: T steps as stored, J = 14 joints.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.data.episode import DEMONSTRATION_HZ, Episode
from models.data.foreign_files import REMOVE
from models.data.reading import FASTEST_HZ, SLOWEST_HZ
from models.errors import ModelError

Array = NDArray[np.float32]
_USUAL_HZ = (5, 10, 15, 20, 25, 30, 50, 60, 100)
"""Chosen: what public recorders write at; velocities tell a rate only to some percent."""
_CLOSE = 0.05  # of it; chosen: between any two of these lies more
_ALIKE = 0.9
"""Least correlation of velocities with differences. Chosen: what is in truth an effort, or filtered for a second, tells
no rate. Eight of our own simulated files have 0.996 and more, and rates within 1.1 %."""
_LEAST_MOTION_RAD = 1e-3  # between two steps, of the fastest; chosen: below it there is only noise


def of_times(times_s: NDArray[np.float64]) -> float | None:
    """Steps a second of times (T,), by their median; None where they do not grow."""
    steps = np.diff(times_s)
    middle = float(np.median(steps)) if len(steps) else 0.0
    return None if not np.isfinite(middle) or middle <= 0 else _rounded(1 / middle)


def of_velocities(q: Array, dq: Array) -> float | None:
    """Steps a second at which velocities (T, J) are the differences of joints (T, J).

    Returns None where they tell none: nothing moves, they are something else, or no usual rate is close.
    """
    moved, said = np.gradient(q.astype(np.float64), axis=0).ravel(), dq.astype(np.float64).ravel()
    if not np.isfinite(moved).all() or not np.isfinite(said).all() or np.abs(moved).max(initial=0) < _LEAST_MOTION_RAD:
        return None
    both = float(moved @ said)
    lengths = float(np.linalg.norm(moved) * np.linalg.norm(said))
    if lengths == 0 or both / lengths < _ALIKE:
        return None
    rate_hz = both / float(moved @ moved)
    closest = min(_USUAL_HZ, key=lambda usual: abs(usual - rate_hz))
    return float(closest) if abs(closest - rate_hz) <= _CLOSE * closest else None


def checked(rate_hz: float, source: str) -> float:
    """A rate that a file says. Raises ModelError for one that no recorder has: times in ms, or a period for a rate."""
    if not SLOWEST_HZ <= rate_hz <= FASTEST_HZ:
        raise ModelError(
            f"{source}: {rate_hz:.4g} steps a second must be {SLOWEST_HZ} to {FASTEST_HZ}; give --data.rate_hz HZ"
        )
    return rate_hz


def steps_at_ours(steps: int, rate_hz: float) -> int:
    """How many steps of ours as many stored ones are."""
    return steps if rate_hz == DEMONSTRATION_HZ else int((steps - 1) * DEMONSTRATION_HZ / rate_hz + 1e-9) + 1


def at_ours(episode: Episode, rate_hz: float, source: str) -> Episode:
    """The episode at our own steps a second: joints in between, of pictures the one that was there last.

    Args:
        episode: As stored, so many steps a second.
        rate_hz: How many.
        source: Its file, for messages.

    Returns:
        It, of the same duration to a step; what was commanded after a cut ends with it.

    Raises:
        ModelError: A row of numbers or a camera has another length, which would not be seen any more.
    """
    if rate_hz == DEMONSTRATION_HZ or not len(episode):
        return episode
    counts = {name: len(getattr(episode, name)) for name in ("dq", "effort", "leader")}
    counts |= {f"camera {camera}": len(pictures) for camera, pictures in episode.jpegs.items()}
    for name, count in counts.items():
        if count != len(episode):
            raise ModelError(f"{source}: {name}: expected {len(episode)} steps, got {count}; {REMOVE}")
    places = np.arange(steps_at_ours(len(episode), rate_hz)) * rate_hz / DEMONSTRATION_HZ
    shown = np.minimum(np.floor(places + 1e-9).astype(int), len(episode) - 1)
    numbers = {name: _between(getattr(episode, name), places) for name in ("q", "dq", "effort", "leader")}
    jpegs = {camera: [pictures[place] for place in shown] for camera, pictures in episode.jpegs.items()}
    return replace(episode, **numbers, jpegs=jpegs, ahead=episode.ahead[:0])


def _between(values: Array, places: NDArray[np.float64]) -> Array:
    """Rows (T, J) at places between them."""
    known = np.arange(len(values))
    return np.stack([np.interp(places, known, column) for column in values.T], axis=1).astype(np.float32)


def _rounded(rate_hz: float) -> float:
    """A measured rate, of which a percent is jitter, as the whole number that was meant."""
    whole = round(rate_hz)
    return float(whole) if whole and abs(rate_hz - whole) <= 0.02 * whole else round(rate_hz, 3)
