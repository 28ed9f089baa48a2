"""Pictures to tensors: colours, ranges, and what crop, letterbox and stretch do to shapes and borders.
Called by pytest; tensors are (B, 3, H, W)."""

from typing import Literal

import numpy as np
import pytest
import torch

from models import images

Resize = Literal["crop", "letterbox", "stretch", "pad"]


def with_square() -> torch.Tensor:
    """240 x 320: a white square of 80 px in the middle of grey, a bright frame of 8 px around everything."""
    picture = torch.full((1, 3, 240, 320), 0.0)
    picture[..., 80:160, 120:200] = 1.0
    for strip in (picture[..., :8, :], picture[..., -8:, :], picture[..., :8], picture[..., -8:]):
        strip.fill_(0.5)
    return picture


def square_size(picture: torch.Tensor) -> tuple[int, int]:
    """Height and width of what is whiter than the frame."""
    white = picture[0, 0] > 0.75
    return int(white.any(1).sum()), int(white.any(0).sum())


def test_pixels_become_minus_one_to_one_with_colours_first() -> None:
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[0, 1] = (255, 0, 51)
    tensor = images.to_tensor(picture, torch.device("cpu"))
    assert tensor.shape == (1, 3, 2, 3)
    assert tensor.dtype == torch.float32
    torch.testing.assert_close(tensor[0, :, 0, 1], torch.tensor([1.0, -1.0, -0.6]))
    assert (tensor[0, :, 1] == -1).all()


def test_picture_is_copied_not_shared() -> None:
    picture = np.full((2, 2, 3), 9, np.uint8)
    images.to_tensor(picture, torch.device("cpu"))
    assert (picture == 9).all()


def test_several_pictures_become_the_tensors_of_each() -> None:
    pictures = np.random.default_rng(2).integers(0, 256, (3, 5, 7, 3), dtype=np.uint8)
    cpu = torch.device("cpu")
    assert torch.equal(images.to_tensors(tuple(pictures), cpu), torch.cat([images.to_tensor(p, cpu) for p in pictures]))


@pytest.mark.parametrize("how", ["crop", "letterbox", "stretch", "pad"])
@pytest.mark.parametrize("size", [(64, 64), (96, 144), (60, 80), (33, 97)])
def test_result_has_the_wanted_size(how: Resize, size: tuple[int, int]) -> None:
    assert images.resize(with_square(), *size, how).shape == (1, 3, *size)


@pytest.mark.parametrize("how", ["crop", "letterbox", "stretch", "pad"])
def test_picture_of_the_wanted_size_is_unchanged(how: Resize) -> None:
    assert torch.equal(images.resize(with_square(), 240, 320, how), with_square())


@pytest.mark.parametrize("how", ["crop", "letterbox"])
@pytest.mark.parametrize("size", [(120, 120), (60, 160)])
def test_crop_and_letterbox_keep_squares_square(how: Resize, size: tuple[int, int]) -> None:
    height, width = square_size(images.resize(with_square(), *size, how))
    assert abs(height - width) <= 1
    assert height > 5


def test_stretch_does_not_keep_squares_square() -> None:
    assert square_size(images.resize(with_square(), 120, 120, "stretch")) == (40, 30)


def test_crop_loses_the_sides_and_fills_the_picture() -> None:
    result = images.resize(with_square(), 120, 120, "crop")
    assert square_size(result) == (40, 40)
    assert result[0, 0, 60, 0] == 0  # the left strip of the frame is gone
    assert result[0, 0, 0, 60] == 0.5  # the upper one is there
    assert result.min() >= 0


def test_crop_loses_top_and_bottom_for_a_wide_picture() -> None:
    result = images.resize(with_square(), 60, 160, "crop")
    assert result[0, 0, 0, 80] == 0
    assert result[0, 0, 30, 0] == 0.5


def test_crop_is_centred() -> None:
    result = images.resize(with_square(), 120, 120, "crop")
    torch.testing.assert_close(result, result.flip(-1))
    torch.testing.assert_close(result, result.flip(-2))


def test_letterbox_shows_the_whole_picture_between_black_bars() -> None:
    result = images.resize(with_square(), 160, 160, "letterbox")
    assert (result[..., :20, :] == -1).all()
    assert (result[..., -20:, :] == -1).all()
    inner = result[..., 20:-20, :]
    assert torch.equal(inner, images.resize(with_square(), 120, 160, "stretch"))
    assert inner[0, 0, 60, 0] == inner[0, 0, 0, 80] == 0.5


def test_pad_is_the_letterbox_on_grey() -> None:
    """127.5 of 255, the mean that SigLIP's pictures are counted from."""
    padded, boxed = (images.resize(with_square(), 160, 160, how) for how in ("pad", "letterbox"))
    assert (padded[..., :20, :] == 0).all()
    assert (padded[..., -20:, :] == 0).all()
    assert torch.equal(padded[..., 20:-20, :], boxed[..., 20:-20, :])


def test_letterbox_puts_bars_at_the_sides_of_a_wide_picture() -> None:
    result = images.resize(with_square(), 60, 160, "letterbox")
    assert (result[..., :40] == -1).all()
    assert (result[..., -40:] == -1).all()
    assert result[..., 40:-40].min() >= 0
