"""Frames of a camera that are made by hand: their time is a number. Used by the tests of cameras."""

import numpy as np

from drivers.camera import CameraFrame

START_NS = 1_000_000_000_000
PERIOD_NS = 33_333_333
PIXELS = np.zeros((2, 2, 3), np.uint8)


def frame(
    count: int, *, number: int | None = None, capture_ns: int | None = None, jpeg: bytes | None = None
) -> CameraFrame:
    """The camera's `count`-th picture as it should be, but for what is given."""
    stamp_ns = START_NS + count * PERIOD_NS if capture_ns is None else capture_ns
    return CameraFrame(
        count if number is None else number, stamp_ns, stamp_ns, PIXELS, b"%d" % count if jpeg is None else jpeg, True
    )


def healthy(count: int = 10) -> list[CameraFrame]:
    return [frame(number) for number in range(1, count + 1)]
