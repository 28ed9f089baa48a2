"""The choice of frames: for each camera the one nearest a time, and how far apart a set is.

Notices are made by the shared builder; rings lie in the test's folder.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.cobot_magic import CAMERAS
from runtime.messaging import messages
from runtime.messaging.frame_ring import FrameRing
from runtime.systems.frame_sets import History, RingPictures, nearest_set, newest_set, skew_ns

Build = Callable[..., Any]
MS = 1_000_000


def notices(build: Build, offsets_ms: dict[str, list[int]]) -> dict[str, list[messages.Frame]]:
    """Each camera's captures, in ms."""
    return {
        camera: [
            build(messages.Frame, camera=camera, seq=number, capture_ns=capture * MS)
            for number, capture in enumerate(captures, 1)
        ]
        for camera, captures in offsets_ms.items()
    }


def captures_ms(frames: tuple[messages.Frame, ...]) -> list[int]:
    return [frame.capture_ns // MS for frame in frames]


def test_each_camera_gives_the_frame_nearest_the_time(build: Build) -> None:
    seen = notices(build, {"head": [0, 33, 66], "left_wrist": [10, 43, 76], "right_wrist": [25, 58, 91]})
    assert captures_ms(nearest_set(seen, 60 * MS)) == [66, 76, 58]
    assert captures_ms(nearest_set(seen, 0)) == [0, 10, 25]
    assert captures_ms(nearest_set(seen, 10_000 * MS)) == [66, 76, 91]


def test_the_newest_set_is_chosen_around_the_oldest_newest_frame(build: Build) -> None:
    seen = notices(build, {"head": [0, 33, 66, 100], "left_wrist": [1, 34, 67], "right_wrist": [5, 38, 71, 105]})
    assert captures_ms(newest_set(seen)) == [66, 67, 71]


def test_a_camera_that_fell_behind_pulls_the_set_back(build: Build) -> None:
    seen = notices(build, {"head": [0, 33, 66, 100], "left_wrist": [1], "right_wrist": [2, 35, 68, 101]})
    assert captures_ms(newest_set(seen)) == [0, 1, 2]


def test_there_is_no_set_while_a_camera_has_no_frame(build: Build) -> None:
    assert newest_set(notices(build, {"head": [1], "left_wrist": []})) == ()


@pytest.mark.parametrize(("captures", "apart"), [([5, 5, 5], 0), ([0, 51, 20], 51), ([90, 10, 50], 80)])
def test_skew_is_the_widest_difference(captures: list[int], apart: int, build: Build) -> None:
    frames = [build(messages.Frame, capture_ns=capture * MS) for capture in captures]
    assert skew_ns(frames) == apart * MS


def test_the_history_keeps_the_newest_notices_of_each_camera(build: Build) -> None:
    history = History(CAMERAS)
    for number in range(1, 1001):
        history.add(build(messages.Frame, camera="head", seq=number))
    kept = [frame.seq for frame in history.notices["head"]]
    assert kept == list(range(1001 - len(kept), 1001)) and 100 <= len(kept) < 1000
    assert not history.notices["left_wrist"]


def test_pictures_come_out_of_the_rings(tmp_path: Path) -> None:
    pictures = RingPictures(tmp_path)
    assert pictures("head", 1) is None, "there is no ring yet"
    ring = FrameRing.create(tmp_path / "head.ring", 8, 6, 4)
    ring.write(1, 0, np.full((6, 8, 3), 9, np.uint8), b"")
    seen = pictures("head", 1)
    assert seen is not None and (seen == 9).all()
    assert pictures("head", 2) is None
    ring.close()
