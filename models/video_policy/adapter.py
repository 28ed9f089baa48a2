"""The adapter: the video U-Net's features of one denoising step become one vector for the action network.

Made by imagination.py. Legend: B batch, T frames of a clip, K cameras, n frames of each, C channels, h w grid,
F output numbers.
"""

from collections.abc import Sequence

import torch
from torch import nn

from models.layers import mlp, sinusoid
from models.video_policy import frames
from models.video_policy.bottleneck import Bottleneck
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.unet import level_channels

_WAVES = 256  # numbers of a noise level before it is embedded; the action network's time has as many (public code)
_HALVED = (1, 2, 2)  # stride over frames, rows, columns of blocks that halve the grid (public code)
_PAIRED = (2, 1, 1)  # of those that halve the frames


class _Tower(nn.Module):
    """What one camera's frames go through: the finest features are halved three times, and each level joins at its size."""

    def __init__(self, config: VideoPolicyConfig) -> None:
        super().__init__()
        finest, second, third, *coarsest = level_channels(config)
        chosen, embedding = config.adapter, config.unet.time_width
        joining = ((finest, finest), (finest + second, second), (second + third, third))
        self.halving = nn.ModuleList(Bottleneck(into, out, embedding, _HALVED) for into, out in joining)
        self.merging = nn.ModuleList()
        width = third
        for level in coarsest:
            first, last = chosen.merged
            self.merging.append(Bottleneck(width + level, first, embedding))
            self.merging.append(Bottleneck(first, last, embedding))
            width = last
        self.narrowing = nn.ModuleList()
        for out in chosen.narrowed:
            self.narrowing.append(Bottleneck(width, out, embedding))
            width = out

    def forward(self, levels: Sequence[torch.Tensor], embedding: torch.Tensor) -> torch.Tensor:
        """(B, C, n, h, w) of each level, the finest first -> (B, narrowed, n, h / 8, w / 8)."""
        finest, *others = levels
        x = self.halving[0](finest, embedding)
        for block, level in zip(self.halving[1:], others[:2], strict=True):
            x = block(torch.cat([x, level], dim=1), embedding)
        for first, last, level in zip(self.merging[::2], self.merging[1::2], others[2:], strict=True):
            x = last(first(torch.cat([x, level], dim=1), embedding), embedding)
        for block in self.narrowing:
            x = block(x, embedding)
        return x


class Adapter(nn.Module):
    """A tower for each camera, then blocks that read all of them and bring their frames together (paper, section 4.2)."""

    def __init__(self, config: VideoPolicyConfig) -> None:
        super().__init__()
        self.config = config
        embedding = config.unet.time_width
        self.embed = mlp(_WAVES, embedding, 2, nn.SiLU())
        self.towers = nn.ModuleList(_Tower(config) for _ in config.clip.cameras)
        widths = (config.adapter.narrowed[-1] * len(config.clip.cameras), *config.adapter.joined)
        halvings = config.clip.frames.bit_length() - 1
        strides = ((1, 1, 1),) * (len(config.adapter.joined) - halvings) + (_PAIRED,) * halvings
        self.joining = nn.ModuleList(
            Bottleneck(into, out, embedding, stride)
            for into, out, stride in zip(widths[:-1], widths[1:], strides, strict=True)
        )

    def forward(self, features: Sequence[torch.Tensor], noise: torch.Tensor) -> torch.Tensor:
        """One denoising step's vector.

        Args:
            features: (B, C, T, h, w) of each place, as FeatureUnet gives them.
            noise: (B,) float32, the noise level as `Scalings.noise`.

        Returns:
            (B, F).
        """
        clip = self.config.clip
        embedding = self.embed(sinusoid(noise, _WAVES).to(features[0].dtype))
        apart = [frames.by_camera(clip, level.transpose(1, 2)) for level in features]  # (B, K, n, C, h, w)
        towers = [
            tower([level[:, camera].transpose(1, 2) for level in apart], embedding)
            for camera, tower in enumerate(self.towers)
        ]
        x = torch.cat(towers, dim=1)
        for block in self.joining:
            x = block(x, embedding)
        return x.flatten(1)
