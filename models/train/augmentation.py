"""Changes System 1's pictures as other lamps, cameras and colours would, so that what it learns does not hang on those it saw.

Called by models/train/action.py with a generator that the batch's seed starts: a resumed training sees the very same pictures.
System 2's pictures are changed before training, a whole episode alike: runtime/training/preparation.py.
Legend: B observations, T pictures of one camera, C cameras, H W pixels.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from models.train.choices import Augmentation

_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601: how bright red, green and blue appear
_DRAWN = 12  # numbers for each camera, always all of them: what is off leaves the others as they were


def augmented(
    pictures: torch.Tensor, chosen: Augmentation, random: torch.Generator, noises: torch.Generator | None = None
) -> torch.Tensor:
    """Pictures of which each camera of an observation is changed by itself, alike in all its T pictures; their noise differs.

    Args:
        pictures: (B, T, C, 3, H, W), uint8 in 0..255 or float in -1..1.
        chosen: what is changed, and by how much at most.
        random: on the pictures' device; where nothing is changed it is left as it is.
        noises: draws the noise in its place.

    Returns:
        (B, T, C, 3, H, W) float32 in -1..1; where `share` is 0 what was given, bit for bit.
    """
    plain = pictures.float().div_(127.5).sub_(1) if pictures.dtype == torch.uint8 else pictures.float()
    if chosen.share == 0:
        return plain
    drawn = torch.rand(_DRAWN, len(plain), plain.shape[2], generator=random, device=plain.device)
    seen = _shifted(plain, drawn[:2], chosen.shift_px)
    seen = _coloured(seen, drawn[2:9], chosen).clamp_(0, 1)
    if chosen.gamma != (1.0, 1.0):
        seen = seen.pow(_for_all(_between(drawn[9], chosen.gamma)))
    noise = torch.randn(
        plain.shape[1:], generator=noises or random, device=plain.device
    )  # alike for all B: drawing takes long
    seen = seen.addcmul(_for_all(drawn[10] * chosen.noise), noise).clamp_(0, 1).mul_(2).sub_(1)
    return torch.where(_for_all(drawn[11]) < chosen.share, seen, plain)


class Film:
    """Changes the pictures of one camera one after the other, all of them alike; their noise differs."""

    def __init__(self, chosen: Augmentation, seed: int) -> None:
        """`share` of the films is changed; the others stay as they are."""
        self._chosen, self._seed = chosen, seed
        self._noise = torch.Generator().manual_seed(seed + 1)  # apart from what is drawn for all

    def changed(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The film's next picture, (H, W, 3) RGB, as it is seen here."""
        given = torch.from_numpy(picture).permute(2, 0, 1)[None, None, None]
        found = augmented(given, self._chosen, torch.Generator().manual_seed(self._seed), self._noise)
        return found[0, 0, 0].add_(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()


def _shifted(pictures: torch.Tensor, drawn: torch.Tensor, most_px: int) -> torch.Tensor:
    """Pictures moved by whole pixels, up or down by `drawn[0]` and sideways by `drawn[1]`; their borders are repeated."""
    if most_px == 0:
        return pictures
    moved = (drawn * (2 * most_px + 1)).long().clamp_(max=2 * most_px) - most_px
    for axis, by in ((-2, moved[0]), (-1, moved[1])):
        size = pictures.shape[axis]
        places = (torch.arange(size, device=by.device) - by[..., None]).clamp_(0, size - 1)  # (B, C, size)
        places = places[:, None, :, None, :, None] if axis == -2 else places[:, None, :, None, None]
        pictures = pictures.gather(axis, places.expand(pictures.shape))
    return pictures


def _coloured(pictures: torch.Tensor, drawn: torch.Tensor, chosen: Augmentation) -> torch.Tensor:
    """Pictures in -1..1 to 0..1 and beyond: hue, grey, gains, contrast and brightness are one matrix and one offset.

    Args:
        pictures: (B, T, C, 3, H, W).
        drawn: (7, B, C) in 0..1: hue, grey, three gains, contrast, brightness.
        chosen: how much each of them may change.
    """
    angle = (2 * drawn[0] - 1) * math.radians(chosen.hue_deg)
    gain = _between(drawn[2:5].movedim(0, -1), chosen.gain)
    contrast = 1 + chosen.contrast * (2 * drawn[5] - 1)
    hue, grey = _turned(angle), _greyed(chosen.grey * drawn[1])
    mixed = (grey[..., None] * hue[..., None, :, :]).sum(
        -2
    )  # their product; @ would be computed in bfloat16 under autocast
    matrix = contrast[..., None, None] * gain[..., None] * mixed  # (B, C, 3, 3)
    offset = matrix.sum(-1) / 2 + ((1 - contrast) / 2 + chosen.offset * (2 * drawn[6] - 1))[..., None]  # (B, C, 3)
    return torch.stack([_channel(pictures, matrix[..., row, :] / 2, offset[..., row]) for row in range(3)], dim=3)


def _channel(pictures: torch.Tensor, factors: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """One channel (B, T, C, H, W) as the sum of all three, by factors (B, C, 3), and an offset (B, C)."""
    found = _plane(offset)
    for channel in range(3):
        found = torch.addcmul(found, pictures[:, :, :, channel], _plane(factors[..., channel]))
    return found


def _turned(angle: torch.Tensor) -> torch.Tensor:
    """Matrices (B, C, 3, 3) that turn a colour about the axis of greys by angles (B, C) in rad (Rodrigues' formula)."""
    cross = angle.new_tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    cosine, sine = angle.cos()[..., None, None], angle.sin()[..., None, None]
    return cosine * torch.eye(3, device=angle.device) + sine * cross + (1 - cosine) / 3


def _greyed(share: torch.Tensor) -> torch.Tensor:
    """Matrices (B, C, 3, 3) that take shares (B, C) of a colour's difference from the grey that appears as bright."""
    share, luminance = share[..., None, None], share.new_tensor(_LUMINANCE)
    return (1 - share) * torch.eye(3, device=share.device) + share * luminance.expand(3, 3)


def _between(drawn: torch.Tensor, ends: tuple[float, float]) -> torch.Tensor:
    return ends[0] + (ends[1] - ends[0]) * drawn


def _plane(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, :, None, None]  # (B, C) for one channel (B, T, C, H, W)


def _for_all(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, :, None, None, None]  # (B, C) for pictures (B, T, C, 3, H, W)
