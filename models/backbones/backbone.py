"""What System 2 needs of a video diffusion model."""

from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True)
class VideoText:
    """The instruction as the video model reads it: states (1, L, text_dim) without padding, pooled (1, pooled_dim)."""

    states: torch.Tensor
    pooled: torch.Tensor


class Backbone(Protocol):
    """Legend: T frames, H W pixels, h w latent grid, C feature channels."""

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (1, 3, T, H, W) in -1..1 to latents (1, c, T', h, w), scaled, deterministic; one gives one."""
        ...

    def features(self, latents: torch.Tensor, text: VideoText) -> torch.Tensor:
        """Latents (1, c, T, h, w) to features (1, T, h / 2, w / 2, C) of the last block kept, at diffusion time 0."""
        ...
