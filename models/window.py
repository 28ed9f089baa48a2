"""System 2's video windows: which frames they hold, and the ring of latents that encodes every frame only once.

Called by models/system2.py; runtime/systems asks which frames a window needs.
"""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from models.config.video import Window
from models.errors import ModelError

Latents = Callable[[torch.Tensor], torch.Tensor]
"""Pictures (1, 3, T, H, W) to the VAE's latents (1, c, T', h, w), as Backbone.encode."""


@dataclass(frozen=True)
class FrameTime:
    """Which frame it is, and when it was taken: CLOCK_MONOTONIC ns."""

    number: int
    capture_ns: int


def grid_frames(newest: int, stride: int, count: int) -> list[int]:
    """The last `count` multiples of `stride` up to the frame number `newest`, oldest first; negative before a start."""
    last = newest - newest % stride
    return [last - stride * back for back in range(count - 1, -1, -1)]


def widest_gap_ns(frames: Sequence[FrameTime]) -> int:
    """The largest step in capture time between neighbours, ns, by which a gap in the history is reported; 0 below two."""
    return max((b.capture_ns - a.capture_ns for a, b in itertools.pairwise(frames)), default=0)


class LatentRing:
    """What windows are made of, by frame number: latents (1, c, 1, h, w), or with `causal` the pictures (1, 3, 1, H, W).

    A frame encoded by itself has a latent that never changes; a window encoded as a video has to be encoded each time.
    """

    def __init__(self, latents: Latents, window: Window, encoding: Literal["frames", "causal"], keep: int) -> None:
        self._latents_of, self.window, self._keep, self._causal = latents, window, keep, encoding == "causal"
        self._latents: OrderedDict[int, torch.Tensor] = OrderedDict()

    def __contains__(self, number: int) -> bool:
        """Whether the frame is there. One that is asked for is forgotten last: a window's frames stay until all are encoded."""
        if number not in self._latents:
            return False
        self._latents.move_to_end(number)
        return True

    def encode(self, number: int, picture: torch.Tensor) -> None:
        """Encode a resized picture (1, 3, H, W) unless that very frame is there. Raises ModelError for another size."""
        if number in self._latents:
            return
        if picture.shape[-2:] != (self.window.height_px, self.window.width_px):
            raise ModelError(
                f"window: expected {self.window.height_px}x{self.window.width_px}, got {tuple(picture.shape)}"
            )
        frame = picture.unsqueeze(2)
        self._latents[number] = frame if self._causal else self._latents_of(frame)
        while len(self._latents) > self._keep:
            self._latents.popitem(last=False)

    def window_latents(self, numbers: Sequence[int]) -> torch.Tensor:
        """The latents of a window.

        Args:
            numbers: T frame numbers, oldest first; each must have been encoded.

        Returns:
            (1, c, T', h, w); T' is T, or (T + 3) / 4 where windows are encoded as videos.

        Raises:
            ModelError: a frame is not in the ring.
        """
        for number in numbers:
            if number not in self._latents:
                raise ModelError(f"frame {number} was not encoded; encode it before asking for its window")
        frames = torch.cat([self._latents[number] for number in numbers], dim=2)
        return self._latents_of(frames) if self._causal else frames

    def clear(self) -> None:
        """Forget all frames: their numbers begin again at a new episode."""
        self._latents.clear()
