"""What System 2 expects to see: which picture shows a moment, and how far it was from what came. Called by pytest."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray

from runtime.messaging import messages
from runtime.policy.protocols import Expected
from runtime.systems.expectation import due, imagined

Build = Callable[..., Any]
APART_NS = 200_000_000


def grey(level: int) -> NDArray[np.uint8]:
    return np.full((16, 24, 3), level, np.uint8)


def shown(
    build: Build, levels: tuple[int, ...], before: messages.Imagined | None = None, **conditions: Any
) -> messages.Imagined:
    """What is imagined: first what was seen, grey as the levels say."""
    seen, *pictures = map(grey, levels)
    made = build(messages.Conditions, **{"capture_ns": 0} | conditions)
    return imagined(made, Expected("head", seen, tuple(pictures), 0.2), before, 1, 5)


@pytest.mark.parametrize(
    ("now_ns", "place"), [(99, None), (101, 0), (200, 0), (299, 0), (301, 1), (499, 1), (501, None)]
)
def test_the_picture_that_shows_a_moment(build: Build, now_ns: int, place: int | None) -> None:
    """200 ms apart: the first shows 100 to 300 ms after what was seen."""
    assert due(shown(build, (0, 0, 0)), now_ns * 1_000_000) == place


def test_the_distance_from_what_came(build: Build) -> None:
    """Of 255 levels: the second picture, which shows that moment, is 51 off; what was seen before is 102 off."""
    first = shown(build, (50, 0, 203))
    assert (first.error, first.still_error) == (-1, -1), "nothing was imagined before"
    second = shown(build, (152, 0, 0), first, seq=1, capture_ns=2 * APART_NS)
    assert second.error == pytest.approx(0.2, abs=0.004)
    assert second.still_error == pytest.approx(0.4, abs=0.004)
    assert second.inputs == (("conditions", 1, 1), ("imagined", 1, 0))


@pytest.mark.parametrize(
    "later", [{"capture_ns": 5 * APART_NS}, {"capture_ns": APART_NS // 4}, {"episode": 2}, {"instruction": 2}]
)
def test_what_cannot_be_compared_is_not(build: Build, later: dict[str, int]) -> None:
    """Beyond what was imagined, before it, of another scene, for another instruction."""
    after = shown(build, (9, 9, 9), shown(build, (0, 0, 0)), **{"seq": 1, "capture_ns": APART_NS} | later)
    assert (after.error, after.still_error) == (-1, -1)


def test_pictures_travel_as_small_jpegs(build: Build) -> None:
    message = shown(build, (10, 100, 200))
    levels = [int(simplejpeg.decode_jpeg(jpeg).mean()) for jpeg in (message.seen, *message.pictures)]
    assert np.abs(np.array(levels) - (10, 100, 200)).max() <= 2
    assert max(map(len, message.pictures)) < 2000 and message.apart_ns == APART_NS


def test_a_policy_that_imagines_the_present_alone_shows_no_later_moment(build: Build) -> None:
    """The paper's horizon of 0."""
    made = build(messages.Conditions, capture_ns=0)
    message = imagined(made, Expected("head", grey(1), (grey(1),), 0.0), None, 1, 5)
    assert due(message, 0) is None
