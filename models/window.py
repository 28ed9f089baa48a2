"""System 2's video windows: which frames they hold, and the ring of latents that encodes every frame only once."""

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from models.backbones.backbone import Backbone
from models.config import Window
from models.errors import ModelError


@dataclass(frozen=True)
class FrameTime:
    """A frame's number and capture time."""

    number: int
    capture_ns: int


def grid_frames(newest: int, stride: int, count: int) -> list[int]:
    """The `count` newest frame numbers of the fixed grid (number % stride == 0) up to `newest`, oldest first."""
    last = newest - newest % stride
    return [last - stride * back for back in range(count - 1, -1, -1)]


def widest_gap_ns(frames: Sequence[FrameTime]) -> int:
    """The largest step in capture time between neighbours; a gap in the history is reported by it."""
    return max((b.capture_ns - a.capture_ns for a, b in itertools.pairwise(frames)), default=0)


class LatentRing:
    """What a window is made of, by frame number: latents (1, c, 1, h, w), or with `causal` the pictures (1, 3, 1, H, W).

    A frame encoded on its own has a latent that never changes; a window encoded as a video has to be encoded anew.
    """

    def __init__(self, backbone: Backbone, window: Window, encoding: Literal["frames", "causal"], keep: int) -> None:
        self._backbone, self.window, self._keep, self._causal = backbone, window, keep, encoding == "causal"
        self._latents: OrderedDict[int, torch.Tensor] = OrderedDict()

    def __contains__(self, number: int) -> bool:
        return number in self._latents

    def encode(self, number: int, picture: torch.Tensor) -> None:
        """Encode a resized picture (1, 3, H, W) unless that very frame is there."""
        if number in self._latents:
            return
        if picture.shape[-2:] != (self.window.height_px, self.window.width_px):
            raise ModelError(
                f"window: expected {self.window.height_px}x{self.window.width_px}, got {tuple(picture.shape)}"
            )
        frame = picture.unsqueeze(2)
        self._latents[number] = frame if self._causal else self._backbone.encode(frame)
        while len(self._latents) > self._keep:
            self._latents.popitem(last=False)

    def window_latents(self, numbers: Sequence[int]) -> torch.Tensor:
        """(1, c, T', h, w) of the frames, oldest first; T' = T, or a quarter of it with `causal`.

        Raises ModelError naming a frame that was not encoded.
        """
        for number in numbers:
            if number not in self._latents:
                raise ModelError(f"frame {number} was not encoded; encode it before asking for its window")
        frames = torch.cat([self._latents[number] for number in numbers], dim=2)
        return self._backbone.encode(frames) if self._causal else frames

    def clear(self) -> None:
        """Forget everything."""
        self._latents.clear()
