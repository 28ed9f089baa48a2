"""A residual bottleneck of 3-D convolutions that is given a noise level; what the adapter is made of.

Called by adapter.py. Legend: B batch, C channels, n frames, h w grid.
"""

import torch
from torch import nn

from models.video_policy.parts import EXPANSION

_MOST_GROUPS = 32  # that GroupNorm makes, as in the video U-Net; fewer where they do not divide the channels


class Bottleneck(nn.Module):
    """1 x 1 x 1 into a quarter of the channels, 3 x 3 x 3 there, 1 x 1 x 1 out; GroupNorm and SiLU between."""

    def __init__(self, channels: int, out: int, embedding: int, stride: tuple[int, int, int] = (1, 1, 1)) -> None:
        """`stride` of frames, rows and columns; where it halves, the shortcut reads both of the places that it stands for."""
        super().__init__()
        inner = out // EXPANSION
        self.narrow = nn.Conv3d(channels, inner, 1)
        self.noise = nn.Linear(embedding, inner)
        self.mix = nn.Sequential(
            _norm(inner),
            nn.SiLU(),
            nn.Conv3d(inner, inner, 3, stride, 1),
            _norm(inner),
            nn.SiLU(),
            nn.Conv3d(inner, out, 1),
        )
        self.norm = _norm(out)
        same = channels == out and stride == (1, 1, 1)
        self.shortcut = nn.Identity() if same else nn.Conv3d(channels, out, stride, stride)
        self.activation = nn.SiLU()

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """One block.

        Args:
            x: (B, C, n, h, w).
            embedding: (B, embedding) of the noise level.

        Returns:
            (B, out, n', h', w'), each a stride-th of what it was.
        """
        inner = self.narrow(x) + self.noise(embedding)[..., None, None, None]
        return self.activation(self.norm(self.mix(inner)) + self.shortcut(x))


def _norm(channels: int) -> nn.GroupNorm:
    groups = next(groups for groups in range(_MOST_GROUPS, 0, -1) if channels % groups == 0)
    return nn.GroupNorm(groups, channels)
