"""Perturbs the committed targets that stage 2 shows, and leads the free ones from where they end back to the demonstration.

Called by models/train/samples.py. In use a prefix is seldom what the policy would make now. From demonstrated ones it learns
to ignore where they end, and then a chunk begins with a jump. Legend: H targets, J joints; rad, gripper m.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.train.choices import Prefixes

Array = NDArray[np.floating]
_GRIPPERS = (6, 13)  # places in the joint vector


@dataclass(frozen=True)
class Demonstrated:
    """What a demonstration has about a step: the joints there, and its targets."""

    q: Array
    """(J,) observed."""
    targets: Array
    """(T, J) of the whole demonstration; the chunk of a step begins with the target of that number."""
    step: int

    def chunk(self, horizon: int, delay: int = 0) -> Array:
        """Its targets (H, J) from the step on, or from `delay` steps before; beyond its ends the outermost ones again."""
        places = np.arange(self.step - delay, self.step - delay + horizon)
        return self.targets[places.clip(0, len(self.targets) - 1)]


@dataclass(frozen=True)
class Given:
    """What a perturbation is made of."""

    shown: Demonstrated
    other: Demonstrated
    targets: Array
    """(n, J) demonstrated, those that are committed."""
    chosen: Prefixes
    random: np.random.Generator


def perturbed(
    shown: Demonstrated,
    other: Demonstrated,
    committed: int,
    horizon: int,
    chosen: Prefixes,
    random: np.random.Generator,
) -> Array:
    """A chunk whose first targets are those of a perturbed prefix, and whose others continue it.

    Args:
        shown: the demonstration that is cloned.
        other: another one of the task, whose motion may be the prefix's.
        committed: how many targets are committed, more than 0; those beyond the chunk are left out.
        horizon: H.
        chosen: how much they are perturbed at most.
        random: draws which way, and how much.

    Returns:
        (H, J): what was committed, then what is wanted; with `share` 0 the demonstration.
    """
    targets, count = shown.chunk(horizon), min(committed, horizon)
    if random.random() >= chosen.share:
        return targets
    way = _WAYS[int(random.integers(len(_WAYS)))]
    off = way(Given(shown, other, targets[:count], chosen, random))
    return continued(targets, _bounded(off, chosen.largest_rad), chosen.blend_targets)


def continued(targets: Array, off: Array, blend: int) -> Array:
    """Targets of which the first are off, and the next ones lead back smoothly, within `blend` of them.

    Cubic Hermite curves begin with the last deviation and its last change, and end with none of both.

    Args:
        targets: (H, J) demonstrated.
        off: (n, J) how far the first n, at least 1, are off.
        blend: targets after which nothing of it is left.

    Returns:
        (H, J).
    """
    count = len(off)
    share = np.minimum(np.arange(1, len(targets) - count + 1) / blend, 1)[:, None]
    speed = off[-1] - off[-2] if count > 1 else np.zeros_like(off[-1])
    left = (2 * share**3 - 3 * share**2 + 1) * off[-1] + (share**3 - 2 * share**2 + share) * blend * speed
    return targets + np.concatenate([off, left])


def _offset(given: Given) -> Array:
    """Every joint is off by as much throughout."""
    most = np.full(given.targets.shape[1], given.chosen.offset_rad)
    most[list(_GRIPPERS)] = given.chosen.offset_m
    return np.broadcast_to(given.random.uniform(-most, most), given.targets.shape)


def _delay(given: Given) -> Array:
    """The demonstration's own targets come some steps late."""
    steps = int(given.random.integers(1, given.chosen.delay_steps + 1))
    return given.shown.chunk(len(given.targets), steps) - given.targets


def _start(given: Given) -> Array:
    """The prefix begins at the joints, as after a stop, and approaches the demonstration."""
    count = len(given.targets)
    length = given.random.uniform(1, 3) * count  # chosen: at its end it is there, or has a third of the way behind it
    return (1 - np.arange(1, count + 1) / length)[:, None] * (given.shown.q - given.targets)


def _motion(given: Given) -> Array:
    """The prefix goes some way with the other demonstration's motion, from these joints."""
    moved = given.other.chunk(len(given.targets)) - given.other.q
    return given.random.random() * (given.shown.q + moved - given.targets)


_WAYS: tuple[Callable[[Given], Array], ...] = (_offset, _delay, _start, _motion)


def _bounded(off: Array, largest_rad: float) -> Array:
    """The same deviation (n, J), smaller where an arm's joint would be off by more than that."""
    found_rad = float(np.abs(np.delete(off, _GRIPPERS, axis=1)).max())
    return off if found_rad <= largest_rad else off * (largest_rad / found_rad)
