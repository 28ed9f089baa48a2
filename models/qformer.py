"""The token compressor of System 2: learned queries read the filtered features (paper 3.2.1, two lightweight Q-formers).

Legend: B batch, T frames, N tokens a frame, C feature channels, K queries, D width.
"""

import torch
from torch import nn

from models.config import QFormer
from models.layers import Attention, FeedForward, sinusoid


class TokenCompressor(nn.Module):
    """(B, T, N, C) -> (B, K, D). With `temporal`, the tokens of one place first attend to each other over time."""

    def __init__(self, config: QFormer, channels: int, temporal: bool) -> None:
        super().__init__()
        width = config.width
        self.norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, width)
        self.time_attention = Attention(width, config.heads, nn.LayerNorm) if temporal else None
        self.time_norm = nn.LayerNorm(width) if temporal else None
        self.queries = nn.Parameter(torch.randn(config.tokens, width) * width**-0.5)
        self.blocks = nn.ModuleList(CompressorBlock(width, config.heads) for _ in range(config.depth))
        self.final_norm = nn.LayerNorm(width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Compress filtered features (B, T, N, C)."""
        _, frames, places, _ = features.shape
        x = self.project(self.norm(features))
        x = x + _positions(frames, places, x)
        if self.time_attention is not None and self.time_norm is not None:
            by_place = x.transpose(1, 2).flatten(0, 1)  # (B N, T, D)
            by_place = by_place + self.time_attention(self.time_norm(by_place))
            x = by_place.unflatten(0, (-1, places)).transpose(1, 2)
        context = x.flatten(1, 2)  # (B, T N, D)
        tokens = self.queries.expand(x.shape[0], -1, -1)
        for block in self.blocks:
            tokens = block(tokens, context)
        return self.final_norm(tokens)


class CompressorBlock(nn.Module):
    """Queries look at the context, then at each other, then think."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.cross = Attention(width, heads, nn.LayerNorm)
        self.self_attention = Attention(width, heads, nn.LayerNorm)
        self.feed_forward = FeedForward(width, 4.0)

    def forward(self, tokens: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """tokens (B, K, D), context (B, T N, D)."""
        tokens = tokens + self.cross(self.norms[0](tokens), self.cross.keys_values(self.norms[1](context)))
        tokens = tokens + self.self_attention(self.norms[2](tokens))
        return tokens + self.feed_forward(self.norms[3](tokens))


def _positions(frames: int, places: int, like: torch.Tensor) -> torch.Tensor:
    """Fixed time and place features (T, N, D)."""
    width = like.shape[-1]
    time = sinusoid(torch.arange(frames, device=like.device), width)[:, None]
    place = sinusoid(torch.arange(places, device=like.device) + 0.5, width)[None]
    return (time + place).to(like.dtype) * 0.5
