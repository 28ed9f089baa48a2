"""The token compressor of System 2: learned queries read the filtered features (Video2Act, section 3.2.1, the Q-formers).

Called by models/system2.py, once for the spatial and once for the motion branch, and trained by stage 2.
Legend: B batch, T frames, h w feature grid, N = h w places, C feature channels, K queries, D width.
"""

import math

import torch
from torch import nn

from models.config.qformer import QFormer
from models.layers import Attention, FeedForward, sinusoid
from models.residual_block import ResidualBlock
from models.token_scale import TokenScale


class TokenCompressor(nn.Module):
    """A Q-former: K learned queries that attend to all places of all frames, block after block.

    With `temporal`, the tokens of one place first attend to each other over time. Normalised in and out by LayerNorm.
    """

    def __init__(self, config: QFormer, channels: int, temporal: bool) -> None:
        super().__init__()
        width = config.width
        self.positions = config.positions
        self.norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, width)
        self.around = nn.Sequential(*(ResidualBlock(width) for _ in range(config.blocks))) if config.blocks else None
        self.time_attention = Attention(width, config.heads, nn.LayerNorm) if temporal else None
        self.time_norm = nn.LayerNorm(width) if temporal else None
        self.queries = nn.Parameter(torch.randn(config.tokens, width) * width**-0.5)
        self.blocks = nn.ModuleList(CompressorBlock(width, config.heads) for _ in range(config.depth))
        self.final_norm = nn.LayerNorm(width)
        self.scale = TokenScale(config.tokens, width) if config.scaled else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Read the features of one branch.

        Args:
            features: (B, T, h, w, C) filtered, in the weights' dtype. Any T, h and w: positions are made to measure.

        Returns:
            (B, K, D), what System 1 is conditioned on; K = QFormer.tokens, D = QFormer.width.
        """
        tokens = self.read(features)
        return tokens if self.scale is None else self.scale(tokens)

    def read(self, features: torch.Tensor) -> torch.Tensor:
        """The tokens before they are scaled.

        Args:
            features: (B, T, h, w, C) as `forward` takes them.

        Returns:
            (B, K, D).
        """
        _, frames, height, width, _ = features.shape
        places = height * width
        x = self._with_surroundings(self.project(self.norm(features)))
        encoding = _summed(frames, places, x) if self.positions == "summed" else _apart(frames, height, width, x)
        x = x.flatten(2, 3) + encoding
        if self.time_attention is not None and self.time_norm is not None:
            by_place = x.transpose(1, 2).flatten(0, 1)  # (B N, T, D)
            by_place = by_place + self.time_attention(self.time_norm(by_place))
            x = by_place.unflatten(0, (-1, places)).transpose(1, 2)
        context = x.flatten(1, 2)  # (B, T N, D)
        tokens = self.queries.expand(x.shape[0], -1, -1)
        for block in self.blocks:
            tokens = block(tokens, context)
        return self.final_norm(tokens)

    def _with_surroundings(self, x: torch.Tensor) -> torch.Tensor:
        """The same features (B, T, h, w, D); with blocks each place has heard what is around it in its frame."""
        if self.around is None:
            return x
        maps = x.flatten(0, 1).permute(0, 3, 1, 2)
        return self.around(maps).permute(0, 2, 3, 1).unflatten(0, x.shape[:2])


class CompressorBlock(nn.Module):
    """Cross-attention to the context, self-attention, feed-forward of ratio 4; LayerNorm before each, and a residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.cross = Attention(width, heads, nn.LayerNorm)
        self.self_attention = Attention(width, heads, nn.LayerNorm)
        self.feed_forward = FeedForward(width, 4.0)

    def forward(self, tokens: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """One round of reading.

        Args:
            tokens: (B, K, D) the queries so far.
            context: (B, T N, D) features with their positions.

        Returns:
            (B, K, D).
        """
        tokens = tokens + self.cross(self.norms[0](tokens), self.cross.keys_values(self.norms[1](context)))
        tokens = tokens + self.self_attention(self.norms[2](tokens))
        return tokens + self.feed_forward(self.norms[3](tokens))


def _apart(frames: int, height: int, width: int, like: torch.Tensor) -> torch.Tensor:
    """Fixed encodings (T, N, D) of frame, row and column, a third of the channels each: no two places look alike."""
    third = like.shape[-1] // 6 * 2
    axes = [_waves(count, third, like.device) for count in (frames, height, width)]
    encoding = like.new_zeros(frames, height, width, like.shape[-1])
    for place, waves in enumerate(axes):
        shape = [1, 1, 1, third]
        shape[place] = len(waves)
        encoding[..., place * third : (place + 1) * third] = waves.view(shape)
    return encoding.flatten(1, 2)


def _waves(count: int, channels: int, device: torch.device) -> torch.Tensor:
    """Sines and cosines (count, channels) of 0 to count - 1, at frequencies evenly spaced by their logarithm.

    The slowest makes a quarter of a wave over all, which is almost linear; the fastest half a wave from one to the next.
    """
    half = channels // 2
    longest, shortest = math.log(math.pi / 2 / count), math.log(math.pi)
    angles = torch.arange(count, device=device)[:, None] * torch.linspace(longest, shortest, half, device=device).exp()
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def _summed(frames: int, places: int, like: torch.Tensor) -> torch.Tensor:
    """Fixed encodings (T, N, D) of frame and place, added in the same channels; kept for checkpoints trained with them."""
    width = like.shape[-1]
    time = sinusoid(torch.arange(frames, device=like.device), width)[:, None]
    place = sinusoid(torch.arange(places, device=like.device) + 0.5, width)[None]
    return (time + place).to(like.dtype) * 0.5
