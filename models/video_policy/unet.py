"""The video U-Net: Stable Video Diffusion's, as diffusers has it, and the features at five of its places.

Made by video_model.py. Legend: B batch, T frames of a clip, c latent channels, h w latent grid, C feature channels,
D text width.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from diffusers.models.unets.unet_spatio_temporal_condition import UNetSpatioTemporalConditionModel
from torch import nn

from models.published import diffusers_model
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.parts import LEVELS

PLACES = (
    "up_blocks.3.attentions.1",
    "up_blocks.2.attentions.1",
    "up_blocks.1.attentions.1",
    "up_blocks.0.resnets.1",
    "down_blocks.2.downsamplers.0",
)
"""Whose outputs are read, the finest first; the paper's layers 23, 20, 17, 14 and 9 (section 4.2)."""

_ADDED = 3  # frames per second, motion bucket, augmentation


class FeatureUnet(nn.Module):
    """diffusers' class holds the weights, so published ones load as they are."""

    def __init__(self, config: VideoPolicyConfig) -> None:
        super().__init__()
        self.config = config
        self.unet: Any = UNetSpatioTemporalConditionModel(**_arguments(config))

    def load(self, folder: Path, dtype: torch.dtype) -> None:
        """Take published weights.

        Args:
            folder: diffusers', with config.json.
            dtype: what they are brought to.

        Raises:
            ModelError: the folder holds another model, or not all of it.
        """
        wanted = _arguments(self.config)
        self.unet = diffusers_model(UNetSpatioTemporalConditionModel, folder, wanted, (), dtype)

    def forward(
        self, entry: torch.Tensor, noise: torch.Tensor, text: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """What the U-Net makes of a noisy clip.

        Args:
            entry: (B, T, 2 c, h, w) the scaled noisy latents and, behind them, the current pictures'.
            noise: (B,) float32, the noise level as `Scalings.noise`.
            text: (B, 1, D) the pooled text token; every frame is given it.

        Returns:
            Its output (B, T, c, h, w), and the features (B, C, T, h', w') at PLACES. No gradient goes back through the
            features: the action loss must not change the video model (paper, section 4.3).
        """
        found: dict[str, torch.Tensor] = {}

        def keep(place: str) -> Any:
            def hook(_module: nn.Module, _given: Any, made: Any) -> None:
                found[place] = made if isinstance(made, torch.Tensor) else made[0]

            return hook

        with ExitStack() as hooks:
            for place in PLACES:
                handle = self.unet.get_submodule(place).register_forward_hook(keep(place))
                hooks.callback(handle.remove)
            output = self.unet(entry, noise, text, self.added(len(entry), entry.device), return_dict=False)[0]
        frames = entry.shape[1]
        features = (found[place].detach().unflatten(0, (-1, frames)).transpose(1, 2) for place in PLACES)
        return output, tuple(features)

    def added(self, batch: int, device: torch.device) -> torch.Tensor:
        """The added conditioning, the same for all clips.

        Args:
            batch: B.
            device: where to.

        Returns:
            (B, 3) float32: frames per second, motion bucket, augmentation.
        """
        clip = self.config.clip
        values = [clip.fps, clip.motion_bucket, clip.augmentation]
        return torch.tensor(values, dtype=torch.float32, device=device).expand(batch, _ADDED)


def level_channels(config: VideoPolicyConfig) -> tuple[int, ...]:
    """C of the features at PLACES, in their sequence."""
    first, second, third, last = config.unet.widths
    return first, second, third, last, third


def _arguments(config: VideoPolicyConfig) -> dict[str, Any]:
    chosen, latents = config.unet, config.autoencoder.latent_channels
    with_attention = LEVELS - 1
    return {
        "in_channels": 2 * latents,
        "out_channels": latents,
        "down_block_types": (*("CrossAttnDownBlockSpatioTemporal",) * with_attention, "DownBlockSpatioTemporal"),
        "up_block_types": ("UpBlockSpatioTemporal", *("CrossAttnUpBlockSpatioTemporal",) * with_attention),
        "block_out_channels": chosen.widths,
        "addition_time_embed_dim": chosen.added_width,
        "projection_class_embeddings_input_dim": _ADDED * chosen.added_width,
        "layers_per_block": chosen.layers,
        "cross_attention_dim": chosen.text_width,
        "transformer_layers_per_block": 1,
        "num_attention_heads": chosen.heads,
    }
