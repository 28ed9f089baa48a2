"""Whole sets of frames, by the times at which they were sent: what a wall clock does to them that is turned. By pytest."""

import pytest

from drivers.piper_frames import JOINT_IDS
from drivers.piper_triple import Triple

FRAME_S, PERIOD_S, NOW_S = 120e-6, 0.005, 1.8e9


def heard(triple: Triple, began_s: float, turned_s: tuple[float, float, float] = (0, 0, 0)) -> bool:
    """One set, each frame stamped by a clock that is turned by so much then. Returns whether it is whole."""
    times = (began_s + place * FRAME_S + turned for place, turned in enumerate(turned_s))
    return [triple.whole(number, sent_s, 1) for number, sent_s in zip(JOINT_IDS, times, strict=True)][-1]


@pytest.mark.parametrize("hours", [1.0, -1.0])
def test_a_clock_that_is_turned_between_two_sets_changes_nothing(hours: float) -> None:
    triple = Triple(JOINT_IDS)
    assert heard(triple, NOW_S) and heard(triple, NOW_S + PERIOD_S + 3600 * hours)
    assert triple.torn == 0


@pytest.mark.parametrize("hours", [1.0, -1.0])
def test_one_that_is_turned_within_a_set_costs_that_set_alone(hours: float) -> None:
    triple, turned_s = Triple(JOINT_IDS), 3600 * hours
    assert not heard(triple, NOW_S, (0.0, turned_s, turned_s))
    assert heard(triple, NOW_S + PERIOD_S + turned_s)
    assert triple.torn == 1
