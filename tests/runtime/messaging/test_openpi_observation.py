"""Observations of clients: openpi's names and ours, axes either way, and one line for whatever is wrong. Called by pytest."""

from typing import Any

import numpy as np
import pytest

from drivers.cobot_magic import CAMERAS
from runtime.errors import WireError
from runtime.messaging.openpi_observation import read

PICTURE = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
IMAGES = {"cam_high": PICTURE, "cam_left_wrist": PICTURE, "cam_right_wrist": PICTURE}
USUAL: dict[str, Any] = {"images": IMAGES, "state": np.full(14, 0.05, np.float32), "prompt": "go"}


def test_openpis_observation_is_read() -> None:
    seen = read(USUAL, CAMERAS, 64)
    assert set(seen.pictures) == set(CAMERAS)
    np.testing.assert_array_equal(seen.pictures["left_wrist"], PICTURE)
    np.testing.assert_allclose(seen.q, 0.05)
    assert (seen.prompt, len(seen.prefix)) == ("go", 0)


def test_axes_may_lie_either_way_and_cameras_have_their_own_names() -> None:
    channels_first = np.ascontiguousarray(PICTURE.transpose(2, 0, 1))
    images = {"head": channels_first, "cam_left_wrist": PICTURE, "right_wrist": channels_first, "another": None}
    seen = read(USUAL | {"images": images}, CAMERAS, 64)
    for picture in seen.pictures.values():
        np.testing.assert_array_equal(picture, PICTURE)
        assert picture.flags.c_contiguous


def test_a_prefix_is_taken_and_a_prompt_may_be_left_out() -> None:
    given = {name: value for name, value in USUAL.items() if name != "prompt"} | {"prefix": np.zeros((8, 14))}
    seen = read(given, CAMERAS, 64)
    assert (seen.prefix.shape, seen.prompt) == ((8, 14), "")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "an observation must be a map, got NoneType"),
        ([1], "an observation must be a map, got list"),
        ({"images": 3}, "images: must be a map of pictures, got int; send cam_high"),
        ({"images": {"cam_high": PICTURE}}, "images: cam_left_wrist is missing (got cam_high)"),
        ({"images": {}}, "images: cam_high is missing (got none)"),
        ({"images": IMAGES | {"cam_high": PICTURE.astype(np.float32)}}, "cam_high: must be uint8"),
        ({"images": IMAGES | {"cam_high": PICTURE[0]}}, "got uint8 (64, 3)"),
        ({"images": IMAGES | {"cam_high": PICTURE[..., :1]}}, "with 3 colours, got (48, 64, 1)"),
        ({"images": IMAGES | {"cam_high": PICTURE[:8]}}, "must be 16 to 4096 px high"),
        ({"images": IMAGES | {"cam_high": "a.png"}}, "got str"),
        ({"state": None}, "state: must be numbers (14,), got NoneType"),
        ({"state": np.zeros(7)}, "state: must be (14,), got (7,); send 14 joints, left arm first"),
        ({"state": np.full(14, np.nan)}, "state: must be finite"),
        ({"state": np.full(14, 90.0)}, "(limit 10 rad or m each); send joints in rad"),
        ({"state": np.array(["a"] * 14)}, "state: must be numbers (14,)"),
        ({"prompt": 7}, "prompt: must be a text"),
        ({"prompt": "x" * 1001}, "prompt: must be a text of at most 1000 characters"),
        ({"prefix": np.zeros((64, 14))}, "prefix: must have at most 63 targets, got 64"),
        ({"prefix": np.zeros(14)}, "prefix: must be numbers (n, 14), got float64 (14,)"),
        ({"prefix": np.zeros((2, 13))}, "prefix: must be (n, 14), got (2, 13)"),
    ],
)
def test_what_is_wrong_is_one_line(given: Any, said: str) -> None:
    packet = USUAL | given if isinstance(given, dict) else given
    with pytest.raises(WireError) as refused:
        read(packet, CAMERAS, 64)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
