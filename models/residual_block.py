"""A residual block of convolutions (He et al. 2016), by which each place of a map hears what is around it.

Part of System 1's keypoints (models/encoders/keypoints.py) and of System 2's Q-formers (models/qformer.py).
"""

import torch
from torch import nn
from torch.nn import functional

from models.config.part import NORM_GROUPS


class ResidualBlock(nn.Module):
    """Two convolutions of 3x3, each behind a norm and SiLU, added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(NORM_GROUPS, channels) for _ in range(2))
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """What came in, and what both convolutions make of it.

        Args:
            maps: (B, C, h, w).

        Returns:
            (B, C, h, w).
        """
        x = maps
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            x = convolution(functional.silu(norm(x)))
        return maps + x
