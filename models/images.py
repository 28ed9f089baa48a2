"""From camera pictures to the networks' inputs: to tensors, and to size. Called by both systems and by training.

Legend: B pictures, H W height and width in px.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

Resize = Literal["crop", "letterbox", "stretch", "pad"]

_BLACK = -1.0
GREY = 127 / 127.5 - 1.0
"""Of what `pad` adds, and of pictures that are dropped in training: 127 of 255, as RDT-1B rounds SigLIP's mean down."""


def to_tensor(picture: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """A picture as networks take it: x / 127.5 - 1.

    Args:
        picture: (H, W, 3) uint8 RGB; copied.
        device: where the tensor is made.

    Returns:
        (1, 3, H, W) float32 in -1..1.
    """
    return _in_range(_sent((picture,), device)[0].permute(2, 0, 1).unsqueeze(0))


def to_tensors(pictures: Sequence[NDArray[np.uint8]], device: torch.device) -> torch.Tensor:
    """The same of several pictures at once.

    Args:
        pictures: B times (H, W, 3) uint8 RGB, all of one size; copied.
        device: where the tensor is made.

    Returns:
        (B, 3, H, W) float32 in -1..1.
    """
    return _in_range(_sent(pictures, device).permute(0, 3, 1, 2))


def _sent(pictures: Sequence[NDArray[np.uint8]], device: torch.device) -> torch.Tensor:
    """Pictures (B, H, W, 3) uint8 on a device; to a GPU they go from pinned memory, so that nothing waits for the copy."""
    host = torch.empty((len(pictures), *pictures[0].shape), dtype=torch.uint8, pin_memory=device.type == "cuda")
    for place, picture in zip(host.numpy(), pictures, strict=True):
        np.copyto(place, picture)
    return host.to(device, non_blocking=True)


def _in_range(pictures: torch.Tensor) -> torch.Tensor:
    """0..255 uint8 to -1..1 float32, where it is."""
    return pictures.to(torch.float32).div_(127.5).sub_(1.0)


def resize(picture: torch.Tensor, height_px: int, width_px: int, how: Resize) -> torch.Tensor:
    """Bring pictures to a size, antialiased: `pad` bicubically, as RDT-1B and SigLIP's own processor, all others bilinearly.

    Args:
        picture: (B, 3, H, W) in -1..1.
        height_px: of the result.
        width_px: of the result.
        how: crop: the largest centred part of the wanted aspect; letterbox: the whole picture on black; pad: on grey;
            stretch: the whole picture, its aspect changed.

    Returns:
        (B, 3, height_px, width_px) in -1..1, in the same dtype.
    """
    if how == "pad":
        padded = _padded(picture, width_px / height_px)
        wide = _scale(padded, padded.shape[-2], width_px, "bicubic").clamp(
            -1.0, 1.0
        )  # bicubic overshoots: cut each time,
        return _scale(wide, height_px, width_px, "bicubic").clamp(-1.0, 1.0)  # in Pillow's order
    if how == "letterbox":
        return _letterbox(picture, height_px, width_px)
    if how == "crop":
        picture = _centre_crop(picture, width_px / height_px)
    return _scale(picture, height_px, width_px)


def method(how: Resize) -> str:
    """What `resize` does, for the names of prepared files: a method that changes gets another name.

    Args:
        how: as `resize` takes it.

    Returns:
        A name, the same for as long as pictures come out the same.
    """
    return "pad, bicubic" if how == "pad" else how


def _scale(
    picture: torch.Tensor, height_px: int, width_px: int, mode: Literal["bilinear", "bicubic"] = "bilinear"
) -> torch.Tensor:
    if picture.shape[-2:] == (height_px, width_px):
        return picture
    return functional.interpolate(picture, (height_px, width_px), mode=mode, antialias=True)


def _padded(picture: torch.Tensor, aspect: float) -> torch.Tensor:
    """The picture in the middle of the smallest grey one of an aspect, before anything is resized."""
    height, width = picture.shape[-2:]
    above, left = max(0, round(width / aspect) - height), max(0, round(height * aspect) - width)
    sides = (left // 2, left - left // 2, above // 2, above - above // 2)
    return functional.pad(picture, sides, value=GREY)


def _centre_crop(picture: torch.Tensor, aspect: float) -> torch.Tensor:
    height, width = picture.shape[-2:]
    keep_width = min(width, round(height * aspect))
    keep_height = min(height, round(width / aspect))
    top, left = (height - keep_height) // 2, (width - keep_width) // 2
    return picture[..., top : top + keep_height, left : left + keep_width]


def _letterbox(picture: torch.Tensor, height_px: int, width_px: int) -> torch.Tensor:
    height, width = picture.shape[-2:]
    scale = min(height_px / height, width_px / width)
    inner = _scale(picture, max(1, round(height * scale)), max(1, round(width * scale)))
    top, left = (height_px - inner.shape[-2]) // 2, (width_px - inner.shape[-1]) // 2
    canvas = picture.new_full((*picture.shape[:-2], height_px, width_px), _BLACK)
    canvas[..., top : top + inner.shape[-2], left : left + inner.shape[-1]] = inner
    return canvas
