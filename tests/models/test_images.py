"""Pictures to tensors: colours, ranges, and what crop, letterbox and stretch do to shapes and borders.
Called by pytest; tensors are (B, 3, H, W)."""

from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

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


def natural(height: int, width: int) -> NDArray[np.uint8]:
    """A picture with edges, slopes and fine grain, (H, W, 3)."""
    random = np.random.default_rng(height)
    rows, columns = np.mgrid[:height, :width]
    slopes = np.stack([rows * 0.3, columns * 0.2, rows * 0.1 + columns * 0.1], axis=-1)
    edges = 120.0 * ((rows // 37 + columns // 53) % 2)[..., None]
    return np.clip(slopes + edges + random.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)


def rdts(picture: NDArray[np.uint8], size_px: int) -> torch.Tensor:
    """What RDT-1B gives SigLIP: the picture on a grey square, then SigLIP's own processor."""
    height, width = picture.shape[:2]
    longer = max(height, width)
    square = Image.new("RGB", (longer, longer), (127, 127, 127))
    square.paste(Image.fromarray(picture), ((longer - width) // 2, (longer - height) // 2))
    half = [0.5, 0.5, 0.5]  # of so400m-patch14-384's preprocessor_config.json, as bicubic (3) is
    made: Any = SiglipImageProcessorPil(
        size={"height": size_px, "width": size_px}, resample=Image.Resampling.BICUBIC, image_mean=half, image_std=half
    )
    return made(square, return_tensors="pt")["pixel_values"]


@pytest.mark.parametrize("shape", [(480, 640), (400, 640), (300, 300), (640, 360), (241, 320), (120, 161)])
def test_pad_is_rdts_way_to_siglip(shape: tuple[int, int]) -> None:
    """Within the rounding of Pillow, which rounds to whole grey levels after each of its two passes."""
    picture = natural(*shape)
    ours = images.resize(images.to_tensor(picture, torch.device("cpu")), 384, 384, "pad")
    off_levels = (ours - rdts(picture, 384)).abs() * 127.5
    assert float(off_levels.max()) < 1.2
    assert float(off_levels.mean()) < 0.35


def test_pad_stays_in_range() -> None:
    """Bicubic overshoots at edges; eight bits cannot."""
    picture = torch.ones(1, 3, 60, 80)
    picture[..., 40:] = -1.0
    result = images.resize(picture, 384, 384, "pad")
    assert (float(result.min()), float(result.max())) == (-1.0, 1.0)


def test_pad_shows_the_whole_picture_between_grey_bars() -> None:
    """127 of 255, SigLIP's mean as RDT rounds it."""
    result = images.resize(with_square() * 0 + 1, 160, 160, "pad")
    grey = torch.tensor(127 / 127.5 - 1)
    for bar in (result[..., :18, :], result[..., -18:, :]):
        torch.testing.assert_close(bar, grey.expand_as(bar))
    assert (result[..., 22:-22, :] == 1).all()


def test_prepared_files_are_named_after_the_method() -> None:
    """Those of the other ways keep their names, and stay valid."""
    assert [images.method(how) for how in ("crop", "letterbox", "stretch")] == ["crop", "letterbox", "stretch"]
    assert images.method("pad") != "pad"


def test_letterbox_puts_bars_at_the_sides_of_a_wide_picture() -> None:
    result = images.resize(with_square(), 60, 160, "letterbox")
    assert (result[..., :40] == -1).all()
    assert (result[..., -40:] == -1).all()
    assert result[..., 40:-40].min() >= 0
