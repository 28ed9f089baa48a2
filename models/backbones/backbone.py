"""What System 2 needs of a video diffusion model."""

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class VideoText:
    """The instruction as the video model reads it: states (1, L, text_dim) without padding, pooled (1, pooled_dim)."""

    states: torch.Tensor
    pooled: torch.Tensor


class Backbone(nn.Module):
    """Base of the video models. Legend: T frames, H W pixels, h w latent grid, C feature channels."""

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (1, 3, T, H, W) in -1..1 to latents (1, c, T', h, w), scaled, deterministic; one gives one."""
        raise NotImplementedError

    def features(self, latents: torch.Tensor, text: VideoText) -> torch.Tensor:
        """Latents (1, c, T, h, w) to features (1, T, h / 2, w / 2, C) of the last block kept, at diffusion time 0."""
        raise NotImplementedError

    def blocks(self) -> dict[str, list[nn.Module]]:
        """The blocks that are kept, in order, by their kind."""
        raise NotImplementedError

    @property
    def encoder(self) -> nn.Module:
        """The part of the VAE that encodes."""
        raise NotImplementedError
