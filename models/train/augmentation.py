"""Changes System 1's pictures as other lamps, cameras and colours would, so that what it learns does not hang on those it saw.

Called by models/train/action.py with a generator that the batch's seed starts: a resumed training sees the very same pictures.
System 2's pictures are changed before training, a whole episode alike: runtime/training/preparation.py.
Legend: B observations, T pictures of one camera, C cameras, N films: one camera's pictures of one observation, H W pixels.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

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
    kept = pictures.to(torch.float32, copy=True)
    if pictures.dtype == torch.uint8:
        kept.div_(127.5).sub_(1)
    if chosen.share == 0:
        return kept
    drawn = torch.rand(_DRAWN, len(kept), kept.shape[2], generator=random, device=kept.device)
    size = (kept.shape[1], *kept.shape[3:])
    noise = torch.randn(size, generator=noises or random, device=kept.device)  # alike for all: drawing takes long
    films, changed = kept.transpose(1, 2), drawn[-1] < chosen.share  # (B, C, T, 3, H, W)
    if changed.any():
        films[changed] = _seen(films[changed], drawn[:, changed], noise, chosen)
    return kept


def _seen(films: torch.Tensor, drawn: torch.Tensor, noise: torch.Tensor, chosen: Augmentation) -> torch.Tensor:
    """Films (N, T, 3, H, W) in -1..1, each changed as its numbers `drawn` (12, N) say, and by noise (T, 3, H, W)."""
    seen = _coloured(_shifted(films, drawn[:2], chosen.shift_px), drawn[2:9], chosen).clamp_(0, 1)
    if chosen.gamma != (1.0, 1.0):
        seen = seen.pow_(_for_all(_between(drawn[9], chosen.gamma)))
    return seen.addcmul_(_for_all(drawn[10] * chosen.noise), noise).clamp_(0, 1).mul_(2).sub_(1)


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


def _shifted(films: torch.Tensor, drawn: torch.Tensor, most_px: int) -> torch.Tensor:
    """Films moved by whole pixels, up or down by `drawn[0]` and sideways by `drawn[1]`; their borders are repeated."""
    if most_px == 0:
        return films
    moved = (drawn * (2 * most_px + 1)).long().clamp_(max=2 * most_px)
    height, width = films.shape[-2:]
    wide = functional.pad(films.flatten(0, 1), (most_px,) * 4, mode="replicate").unflatten(0, films.shape[:2])
    pairs = zip(wide, *moved.tolist(), strict=True)
    return torch.stack([film[..., down : down + height, right : right + width] for film, down, right in pairs])


def _coloured(films: torch.Tensor, drawn: torch.Tensor, chosen: Augmentation) -> torch.Tensor:
    """Films in -1..1 to 0..1 and beyond: hue, grey, gains, contrast and brightness are one matrix and one offset.

    Args:
        films: (N, T, 3, H, W).
        drawn: (7, N) in 0..1: hue, grey, three gains, contrast, brightness.
        chosen: how much each of them may change.
    """
    angle = (2 * drawn[0] - 1) * math.radians(chosen.hue_deg)
    gain = _between(drawn[2:5].movedim(0, -1), chosen.gain)
    contrast = 1 + chosen.contrast * (2 * drawn[5] - 1)
    offset = (1 - contrast) / 2 + chosen.offset * (2 * drawn[6] - 1)
    with torch.autocast(films.device.type, enabled=False):  # it would multiply in bfloat16
        mixed = _greyed(chosen.grey * drawn[1]) @ _turned(angle)
        matrix = contrast[:, None, None] * gain[..., None] * mixed / 2  # (N, 3, 3), of values in -1..1
        found = matrix[:, None] @ films.flatten(-2)
    return found.add_((matrix.sum(-1) + offset[:, None])[:, None, :, None]).unflatten(-1, films.shape[-2:])


def _turned(angle: torch.Tensor) -> torch.Tensor:
    """Matrices (N, 3, 3) that turn a colour about the axis of greys by angles (N,) in rad (Rodrigues' formula)."""
    cross = angle.new_tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    cosine, sine = angle.cos()[..., None, None], angle.sin()[..., None, None]
    return cosine * torch.eye(3, device=angle.device) + sine * cross + (1 - cosine) / 3


def _greyed(share: torch.Tensor) -> torch.Tensor:
    """Matrices (N, 3, 3) that take shares (N,) of a colour's difference from the grey that appears as bright."""
    share, luminance = share[..., None, None], share.new_tensor(_LUMINANCE)
    return (1 - share) * torch.eye(3, device=share.device) + share * luminance.expand(3, 3)


def _between(drawn: torch.Tensor, ends: tuple[float, float]) -> torch.Tensor:
    return ends[0] + (ends[1] - ends[0]) * drawn


def _for_all(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, None, None, None]  # (N,) for films (N, T, 3, H, W)
