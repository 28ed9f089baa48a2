"""A residual bottleneck of 3-D convolutions that is given a noise level; what the adapter is made of.

Called by adapter.py. Legend: B batch, C channels, n frames, h w grid.
"""

import torch
from torch import nn

from models.video_policy.parts import EXPANSION

_MOST_GROUPS = 32  # of GroupNorm, as in the video U-Net
_LEAST_CHANNELS = 8
"""Of a group; chosen. The last blocks' grid may be a single place, of which a group of one channel would leave nothing."""


class Bottleneck(nn.Module):
    """1 x 1 x 1 into a quarter of the channels, 3 x 3 x 3 there, 1 x 1 x 1 out; GroupNorm and SiLU between."""

    def __init__(self, channels: int, out: int, embedding: int, stride: tuple[int, int, int] = (1, 1, 1)) -> None:
        """`stride` of frames, rows and columns; where it halves, the shortcut reads both of the places that it stands for."""
        super().__init__()
        inner = out // EXPANSION
        self.narrow = nn.Conv3d(channels, inner, 1)
        self.noise = nn.Linear(embedding, inner)
        self.narrow_norm = _norm(inner)
        self.mix = nn.Sequential(
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
        # behind the norm: one of few channels a group would take a constant out again
        inner = self.narrow_norm(self.narrow(x)) + self.noise(embedding)[..., None, None, None]
        return self.activation(self.norm(self.mix(inner)) + self.shortcut(x))


def _norm(channels: int) -> nn.GroupNorm:
    most = max(min(_MOST_GROUPS, channels // _LEAST_CHANNELS), 1)
    groups = next(groups for groups in range(most, 0, -1) if channels % groups == 0)
    return nn.GroupNorm(groups, channels)
