"""Wan2.2-TI2V-5B through diffusers, truncated to its first blocks: the released code's video model, at t = 0.

Made by models/system2.py where the configuration says `wan`. Numbers without another source are the model's as diffusers
publishes it.
"""

from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from torch import nn

from models.backbones import wan_original
from models.backbones.backbone import Backbone, VideoText, without_decoder
from models.config.video import Wan
from models.published import diffusers_model, read_json

_PATCH = 2  # latents along each side of a token: the model's patch is (1, 2, 2); its VAE's of pixels is 2 too
_TIME_SCALE = 1000.0  # diffusion time as the model takes it: 0 clean to 1000 noise


class WanBackbone(Backbone):
    """diffusers' classes hold the weights, so published ones load as they are.

    Latents are the posterior's mode, each channel brought to mean 0 and spread 1. The model reads no pooled text, and zeros
    where there is no word, as it was trained.
    """

    def __init__(self, config: Wan) -> None:
        super().__init__()
        self.config = config
        self.vae = without_decoder(AutoencoderKLWan(**_vae(config)))
        self.transformer = WanTransformer3DModel(**_transformer(config))
        self.latent_mean: torch.Tensor
        self.latent_spread: torch.Tensor
        for name in ("latent_mean", "latent_spread"):
            values = torch.tensor(getattr(config, name)).reshape(1, -1, 1, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def load(self, folder: Path, dtype: torch.dtype, transformer: Path | None = None) -> None:
        self.vae = without_decoder(diffusers_model(AutoencoderKLWan, folder / "vae", _vae(self.config), (), dtype))
        place, kind = transformer or folder / "transformer", WanTransformer3DModel
        if _is_of_diffusers(place):
            self.transformer = diffusers_model(kind, place, _transformer(self.config), ("num_layers",), dtype)
        else:
            wan_original.load(self.transformer, place, dtype)

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        posterior = self.vae.encode(pictures).latent_dist
        return ((posterior.mode() - self.latent_mean) / self.latent_spread).to(pictures.dtype)

    def features(self, latents: torch.Tensor, text: VideoText, words: torch.Tensor | None = None) -> torch.Tensor:
        model = self.transformer
        states = text.states if words is None else text.states * words[..., None]
        batch, _, frames, height, width = latents.shape
        time = torch.zeros(batch, dtype=torch.long, device=latents.device)
        rotary = model.rope(latents)
        _, modulation, read, _ = model.condition_embedder(time, states)
        modulation = modulation.unflatten(1, (6, -1))
        x = model.patch_embedding(latents).flatten(2).transpose(1, 2).contiguous()
        for block in model.blocks:
            x = block(x, read, modulation, rotary)
        return x.unflatten(1, (frames, height // _PATCH, width // _PATCH))

    def velocity(self, noisy: torch.Tensor, time: torch.Tensor, text: VideoText, words: torch.Tensor) -> torch.Tensor:
        return self.transformer(noisy, time * _TIME_SCALE, text.states * words[..., None], return_dict=False)[0]

    def new_autoencoder(self) -> nn.Module:
        return AutoencoderKLWan(**_vae(self.config))

    def measured(self, mean: torch.Tensor, spread: torch.Tensor) -> dict[str, Any]:
        means = self.latent_mean.ravel() + mean.cpu() * self.latent_spread.ravel()
        spreads = spread.cpu() * self.latent_spread.ravel()
        return {"latent_mean": tuple(means.tolist()), "latent_spread": tuple(spreads.tolist())}

    def blocks(self) -> dict[str, list[nn.Module]]:
        return {"transformer": list(self.transformer.blocks)}

    @property
    def encoder(self) -> nn.Module:
        return self.vae.encoder


def _is_of_diffusers(place: Path) -> bool:
    """Whether a transformer lies in diffusers' format; the original one has no configuration beside it, or another model's."""
    config = place / "config.json"
    return config.is_file() and read_json(config).get("_class_name") == WanTransformer3DModel.__name__


def _vae(config: Wan) -> dict[str, Any]:
    return {
        "base_dim": config.vae_width,
        "decoder_base_dim": config.vae_decoder_width,
        "z_dim": config.latent_channels,
        "dim_mult": list(config.vae_widths),
        "num_res_blocks": config.vae_blocks,
        "attn_scales": [],
        "temperal_downsample": [False, True, True],
        "latents_mean": list(config.latent_mean),
        "latents_std": list(config.latent_spread),
        "is_residual": True,
        "in_channels": 12,
        "out_channels": 12,
        "patch_size": _PATCH,
        "scale_factor_temporal": 4,
        "scale_factor_spatial": 16,
    }


def _transformer(config: Wan) -> dict[str, Any]:
    return {
        "patch_size": (1, _PATCH, _PATCH),
        "num_attention_heads": config.heads,
        "attention_head_dim": config.head_dim,
        "in_channels": config.latent_channels,
        "out_channels": config.latent_channels,
        "text_dim": config.text_dim,
        "ffn_dim": config.feed_forward,
        "num_layers": config.blocks,
    }
