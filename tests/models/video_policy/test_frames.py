"""Which frame is which camera's, how far ahead it lies, and which current picture stands beside it. Called by pytest."""

import pytest
import torch

from models.video_policy import frames
from models.video_policy.sizes import full

CLIP = full().clip


def test_a_clip_is_a_padding_and_eight_frames_of_each_camera() -> None:
    assert CLIP.cameras == ("head", "left_wrist", "right_wrist")
    assert frames.cameras(CLIP) == (0,) + 8 * (0,) + 8 * (1,) + 8 * (2,)
    assert CLIP.length == 25


def test_every_sixth_frame_is_imagined_up_to_a_second_and_six_tenths() -> None:
    ahead = (6, 12, 18, 24, 30, 36, 42, 48)
    assert frames.offsets(CLIP) == (0, *ahead, *ahead, *ahead)
    times = frames.times_s(CLIP)
    assert times[0] == 0
    assert (times[1], times[8], times[24]) == pytest.approx((0.2, 1.6, 1.6))


def test_a_stride_of_none_imagines_the_present() -> None:
    assert set(frames.offsets(CLIP.model_copy(update={"stride": 0}))) == {0}


def test_each_frame_has_its_own_cameras_picture_beside_it() -> None:
    current = torch.tensor([10.0, 20.0, 30.0]).reshape(1, 3, 1, 1, 1)
    assert frames.beside(CLIP, current).flatten().tolist() == [10.0] * 9 + [20.0] * 8 + [30.0] * 8


def test_the_padding_is_left_out_of_what_was_imagined() -> None:
    apart = frames.by_camera(CLIP, torch.arange(25).reshape(1, 25, 1))
    assert apart.shape == (1, 3, 8, 1)
    assert apart[0, 1].flatten().tolist() == list(range(9, 17))
