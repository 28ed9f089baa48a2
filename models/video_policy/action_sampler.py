"""System 1 of Video Policy: it denoises a chunk against the features of each denoising step, at the same noise levels.

Legend: B batch, H targets, J joints, S denoising steps, G feature sets, F feature numbers.
"""

import torch
from torch import nn

from models.errors import ModelError
from models.video_policy import edm
from models.video_policy.action_unet import ActionUnet
from models.video_policy.config import VideoPolicyConfig


class ActionSampler(nn.Module):
    """The action network with EDM's preconditioning around it, and its sampler."""

    def __init__(self, config: VideoPolicyConfig) -> None:
        super().__init__()
        self.config = config
        self.network = ActionUnet(config)

    def denoise(
        self,
        noisy: torch.Tensor,
        s: torch.Tensor,
        features: torch.Tensor,
        moment: torch.Tensor,
        prefix: torch.Tensor,
        committed: torch.Tensor,
    ) -> torch.Tensor:
        """The clean chunk, as far as it can be seen.

        Committed targets enter clean, whatever the noise level, so the others can continue them: the network must have been
        trained with such prefixes (training-time real-time chunking, as models/train/prefixes.py draws them).

        Args:
            noisy: (B, H, J) float32, normalised targets and noise of level s.
            s: (B,) float32.
            features: (B, F) of the same level.
            moment: (B, M) of ActionUnet.moment.
            prefix: (B, H, J) float32, the committed targets, normalised, in their places.
            committed: (B, H) bool, which targets are.

        Returns:
            (B, H, J) float32; its committed targets are the prefix's, bit for bit.
        """
        factors = edm.scalings(s)
        dtype = next(self.network.parameters()).dtype
        entry = (noisy * edm.per_sample(factors.entry, noisy)).to(dtype)
        output = self.network(entry, factors.noise, features, moment, prefix.to(dtype), committed).float()
        clean = noisy * edm.per_sample(factors.skip, noisy) + output * edm.per_sample(factors.out, noisy)
        return torch.where(committed[..., None], prefix, clean)

    def sample(
        self,
        features: torch.Tensor,
        moment: torch.Tensor,
        noise: torch.Tensor,
        prefix: torch.Tensor,
        committed: torch.Tensor,
    ) -> torch.Tensor:
        """A chunk. Deterministic; one imagination's features serve any number of them.

        Args:
            features: (B, S, G, F) of an imagination.
            moment: (B, M) of ActionUnet.moment.
            noise: (B, H, J) float32 standard normal; stays unchanged.
            prefix: as `denoise`.
            committed: as `denoise`.

        Returns:
            (B, H, J) float32, normalised; its committed targets are the prefix's, bit for bit.

        Raises:
            ModelError: the features are not those of an imagination with this configuration.
        """
        config, sets = self.config.diffusion, self.config.feature_sets
        wanted = (config.steps, sets, self.config.feature_width)
        if features.shape[1:] != wanted:
            raise ModelError(
                f"features: expected shape {wanted}, got {tuple(features.shape[1:])}; use one checkpoint's parts"
            )
        x = edm.beginning(noise, edm.levels(config)[0])
        asked = (moment.repeat(sets, 1), prefix.repeat(sets, 1, 1), committed.repeat(sets, 1))
        for place, (level, following) in enumerate(edm.pairs(config)):
            given = (
                features[:, place].transpose(0, 1).flatten(0, 1)
            )  # the sets behind each other, as the batch is repeated
            s = noise.new_full((len(given),), level)
            clean = self.denoise(x.repeat(sets, 1, 1), s, given, *asked)
            if sets == 2:
                clean = edm.guided(clean[: len(x)], clean[len(x) :], config.action_guidance)
            x = edm.euler_step(x, clean, level, following)
        return torch.where(committed[..., None], prefix, x)
