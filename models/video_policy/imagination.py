"""System 2 of Video Policy: it imagines the clip and gives the features of every denoising step.

Legend: B batch, K cameras, T frames of a clip, c h w a latent, D text width, S denoising steps, G feature sets,
F feature numbers.
"""

from dataclasses import dataclass

import torch
from torch import nn

from models.video_policy import edm
from models.video_policy.adapter import Adapter
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.video_model import Given, VideoModel


@dataclass(frozen=True)
class Imagined:
    """A sampled clip, and what its denoising steps leave for the action network."""

    latents: torch.Tensor
    """(B, T, c, h, w) float32, scaled: the clip, to be decoded when a person wants to see it."""
    features: torch.Tensor
    """(B, S, G, F): with the conditions and, where actions are guided, without them. What System 1 is given."""


class Imagination(nn.Module):
    """Video model and adapter. The adapter's gradient ends at the video model's features (FeatureUnet)."""

    def __init__(self, config: VideoPolicyConfig, video: VideoModel | None = None) -> None:
        """`video` is a model whose weights are loaded already; without it one is made with random weights."""
        super().__init__()
        self.config = config
        self.video = video or VideoModel(config)
        self.adapter = Adapter(config)

    def imagine(self, given: Given, noise: torch.Tensor) -> Imagined:
        """Sample a clip. Deterministic: the same inputs give the same bits.

        Args:
            given: latents of the current pictures (VideoModel.encode_current) and text.
            noise: (B, T, c, h, w) float32 standard normal; stays unchanged.

        Returns:
            The clip and its features.
        """
        config = self.config.diffusion
        x = edm.beginning(noise, edm.levels(config)[0])
        steps: list[torch.Tensor] = []
        for level, following in edm.pairs(config):
            clean, features = self.step(x, level, given)
            steps.append(features)
            x = edm.euler_step(x, clean, level, following)
        return Imagined(x, torch.stack(steps, dim=1))

    def step(self, noisy: torch.Tensor, level: float, given: Given) -> tuple[torch.Tensor, torch.Tensor]:
        """One guided denoising step: with the conditions and without them, in one batch.

        Args:
            noisy: (B, T, c, h, w) float32.
            level: its noise level.
            given: as `imagine`.

        Returns:
            The clean clip as far as it can be seen, (B, T, c, h, w) float32, and features (B, G, F).
        """
        config, batch = self.config.diffusion, len(noisy)
        if config.guidance == 1 and self.config.feature_sets == 1:
            clean, features = self.features(noisy, noisy.new_full((batch,), level), given)
            return clean, features[:, None]
        both = given.and_then(given.without())
        clean, features = self.features(torch.cat([noisy, noisy]), noisy.new_full((2 * batch,), level), both)
        apart = features.unflatten(0, (2, batch)).transpose(0, 1)
        return edm.guided(clean[:batch], clean[batch:], config.guidance), apart[:, : self.config.feature_sets]

    def features(self, noisy: torch.Tensor, s: torch.Tensor, given: Given) -> tuple[torch.Tensor, torch.Tensor]:
        """One pass without guidance, as training makes it.

        Args:
            noisy: (B, T, c, h, w) float32.
            s: (B,) float32 its noise levels.
            given: as `imagine`.

        Returns:
            The clean clip (B, T, c, h, w) float32, and features (B, F).
        """
        clean, places = self.video.denoise(noisy, s, given)
        return clean, self.adapter(places, edm.scalings(s).noise)
