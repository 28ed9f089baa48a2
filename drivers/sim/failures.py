"""Why an episode failed: one of five classes, by rules on what was seen of objects and hands (Video2Act, appendix D).

A trace is recorded by drivers/sim/episode_recorder.py; the rules are called by runtime/evaluation. Of each object of the task
that is not where it belongs at the end, the first row that holds gives the class:

| at the end | what was seen | class |
|---|---|---|
| held | it has been where it belongs, and was carried on | overshot |
| held | taken in the last second; or moved by 10 mm in it, without getting as much further away aside | timed out |
| held | otherwise: it is kept somewhere else | drifted |
| not held, never lifted | pushed since the beginning | overshot |
| not held, never lifted | otherwise: never touched, or not gripped | missed |
| not held, was lifted | lost in the air: it fell by more than 20 mm; or slid by more than 30 mm between the fingers | slipped |
| not held, was lifted | put down, then pushed; or it has been where it belongs since, and is not any more | overshot |
| not held, was lifted | otherwise: put down at a wrong place | drifted |

Held: both fingers of one hand press on it with their inner faces. Lifted: held more than 20 mm above where it began. Pushed:
moved by more than 30 mm, or its axis turned by more than 45 degrees. Where a task wants an object says its `lack_m`.

Of several objects the one that came least far counts: missed before overshot, slipped, drifted and timed out. Where all objects
are where they belong and only the hands are not (still closed, still low), time has run out. So each failure has one class.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Failure = Literal["missed", "overshot", "slipped", "drifted", "timed out"]
FAILURES: tuple[Failure, ...] = get_args(Failure)
"""All classes; of several objects the one counts whose class stands first."""
# All limits are chosen: well above what contact and settling move, well below what a task moves.
_LIFTED_M = 0.02  # over where it began, or lands; mats and coasters are 4 to 12 mm thick
_PUSHED_M = 0.03  # half the width of the objects
_UPSET_COSINE = float(np.cos(np.pi / 4))  # chosen: half-way from standing to lying
_SLID_M = 0.03  # by which the distance from the hand changed in one hold; a finger is 22 mm wide
_LATE_S, _ON_ITS_WAY_M = 1.0, 0.01
"""Time and way that count as on its way; an expert's slowest movement makes 10 mm in a fifth of that time."""


@dataclass(frozen=True)
class ObjectTrace:
    """What was seen of one object; T moments, from the begin of the episode to its end."""

    place_m: Array  # (T, 3) in the world
    axis: Array  # (T, 3) unit vector: its own z in the world
    fingers: NDArray[np.int64]  # (T, 2) of the left and of the right hand whose inner faces press on it: 0 to 2
    lack_m: Array  # (T, 2) from where the task wants it, aside and in height

    @property
    def there(self) -> NDArray[np.bool_]:
        """When it was where the task wants it, (T,)."""
        return (self.lack_m == 0).all(axis=1)


@dataclass(frozen=True)
class Trace:
    """An episode as the rules see it."""

    times_s: Array  # (T,)
    hands_m: Array  # (T, 2, 3) the points between the fingers of the left and the right hand, in the world
    objects: Mapping[str, ObjectTrace]  # those that the task is about, by name


def classify(trace: Trace) -> Failure:
    """The class of an episode that failed, by the table above.

    Args:
        trace: Of the whole episode; at least one moment.

    Returns:
        The class, also of an episode that a fault has ended: as far as it came.
    """
    classes: set[Failure] = {_class_of(trace, seen) for seen in trace.objects.values() if not seen.there[-1]}
    return min(classes, key=FAILURES.index) if classes else "timed out"


def _class_of(trace: Trace, seen: ObjectTrace) -> Failure:
    held = (seen.fingers == 2).any(axis=1)
    lifted = held & (_height_m(seen) > _LIFTED_M)
    if held[-1]:
        return _in_a_hand(trace, seen, held)
    if lifted.any():
        return _let_go(trace, seen, held, int(lifted.nonzero()[0][-1]))
    return "overshot" if _pushed(seen, 0) else "missed"


def _in_a_hand(trace: Trace, seen: ObjectTrace, held: NDArray[np.bool_]) -> Failure:
    """Of an object that is held at the end."""
    if seen.there.any():
        return "overshot"
    late = trace.times_s >= trace.times_s[-1] - _LATE_S
    moved_m = np.linalg.norm(seen.place_m[-1] - seen.place_m[late][0])
    further_m = seen.lack_m[-1, 0] - seen.lack_m[late][0, 0]
    on_its_way = moved_m > _ON_ITS_WAY_M > further_m
    return "timed out" if on_its_way or not held[late].all() else "drifted"


def _let_go(trace: Trace, seen: ObjectTrace, held: NDArray[np.bool_], lifted: int) -> Failure:
    """Of an object that was held and lifted at moment `lifted` for the last time, and is in no hand at the end."""
    free = lifted + int((~held[lifted:]).nonzero()[0][0])  # the first moment without a hand
    last = free - 1
    height_m = _height_m(seen)
    # What falls over after it was put down sinks too, but was not held in the air.
    fell = height_m[last] > _LIFTED_M and height_m[last] - height_m[free:].min() > _LIFTED_M
    if fell or _slid_m(trace, seen, last) > _SLID_M:
        return "slipped"
    return "overshot" if _pushed(seen, free) or seen.there[free:].any() else "drifted"


def _height_m(seen: ObjectTrace) -> Array:
    """How high it is over where it began, (T,)."""
    return seen.place_m[:, 2] - seen.place_m[0, 2]


def _pushed(seen: ObjectTrace, since: int) -> bool:
    """Whether it has been moved or turned since a moment, as the table says."""
    moved_m = np.linalg.norm(seen.place_m[since:] - seen.place_m[since], axis=1).max()
    return bool(moved_m > _PUSHED_M or (seen.axis[since:] @ seen.axis[since]).min() < _UPSET_COSINE)


def _slid_m(trace: Trace, seen: ObjectTrace, last: int) -> float:
    """By how much the distance between object and hand changed during the hold that ends with moment `last`."""
    side = int(seen.fingers[last].argmax())
    without = (seen.fingers[: last + 1, side] < 2).nonzero()[0]
    begin = int(without[-1]) + 1 if len(without) else 0
    distance_m = np.linalg.norm(seen.place_m[[begin, last]] - trace.hands_m[[begin, last], side], axis=1)
    return float(abs(distance_m[1] - distance_m[0]))
