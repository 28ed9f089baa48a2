"""HunyuanVideo through diffusers, truncated: the VAE frame by frame, and the first blocks of the transformer at t = 0.

Made by models/system2.py where the configuration says `hunyuan`. The loop over the blocks is our own: no final layer, and no
attention mask where the text carries no padding. Numbers without another source are HunyuanVideo's as diffusers publishes it.
"""

import itertools
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_hunyuan_video import AutoencoderKLHunyuanVideo
from diffusers.models.transformers.transformer_hunyuan_video import HunyuanVideoTransformer3DModel
from torch import nn
from torch.nn import functional

from models.backbones.backbone import Backbone, VideoText, without_decoder
from models.config.video import Hunyuan
from models.published import diffusers_model

_GUIDANCE_SCALE = 1000.0  # diffusers' HunyuanVideoPipeline passes the guidance times this
_PATCH = 2  # latents along each side of a token: the model's patch is (1, 2, 2)
_TIME_SCALE = 1000.0  # diffusion time as the model takes it: 0 clean to 1000 noise


class HunyuanBackbone(Backbone):
    """diffusers' classes hold the weights, so published ones load as they are.

    Latents are the posterior's mode times one scaling factor, without a shift.
    """

    def __init__(self, config: Hunyuan) -> None:
        super().__init__()
        self.config = config
        self.vae = without_decoder(AutoencoderKLHunyuanVideo(**_vae(config)))
        self.transformer = HunyuanVideoTransformer3DModel(**_transformer(config))

    def load(self, folder: Path, dtype: torch.dtype, transformer: Path | None = None) -> None:
        vae, kind = AutoencoderKLHunyuanVideo, HunyuanVideoTransformer3DModel
        self.vae = without_decoder(diffusers_model(vae, folder / "vae", _vae(self.config), (), dtype))
        place, depths = transformer or folder / "transformer", ("num_layers", "num_single_layers")
        self.transformer = diffusers_model(kind, place, _transformer(self.config), depths, dtype)

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        posterior = self.vae.encode(pictures).latent_dist
        return posterior.mode() * self.config.latent_scaling

    def features(self, latents: torch.Tensor, text: VideoText, words: torch.Tensor | None = None) -> torch.Tensor:
        model = self.transformer
        batch, _, frames, height, width = latents.shape
        time = torch.zeros(batch, dtype=torch.long, device=latents.device)
        guidance = guidance_of(self.config, latents)
        rotary = model.rope(latents)
        condition, replaced = model.time_text_embed(time, text.pooled, guidance)
        x = model.x_embedder(latents)
        everything = torch.ones(text.states.shape[:2], dtype=torch.bool, device=latents.device)
        read = model.context_embedder(text.states, time, everything if words is None else words)
        seen = None if words is None else functional.pad(words, (x.shape[1], 0), value=True)[:, None, None]
        places = (height // _PATCH) * (width // _PATCH)
        for block in itertools.chain(*self.blocks().values()):
            x, read = block(x, read, condition, seen, rotary, replaced, places)
        return x.unflatten(1, (frames, height // _PATCH, width // _PATCH))

    def velocity(self, noisy: torch.Tensor, time: torch.Tensor, text: VideoText, words: torch.Tensor) -> torch.Tensor:
        guidance = guidance_of(self.config, noisy)
        return self.transformer(
            noisy, time * _TIME_SCALE, text.states, words.to(noisy.dtype), text.pooled, guidance, return_dict=False
        )[0]

    def new_autoencoder(self) -> nn.Module:
        return AutoencoderKLHunyuanVideo(**_vae(self.config))

    def measured(self, mean: torch.Tensor, spread: torch.Tensor) -> dict[str, Any]:
        # one factor for all channels: their mean is not taken away
        return {"latent_scaling": self.config.latent_scaling / float(spread.square().mean().sqrt())}

    def blocks(self) -> dict[str, list[nn.Module]]:
        model = self.transformer
        return {"dual-stream": list(model.transformer_blocks), "single-stream": list(model.single_transformer_blocks)}

    @property
    def encoder(self) -> nn.Module:
        return self.vae.encoder


def guidance_of(config: Hunyuan, like: torch.Tensor) -> torch.Tensor:
    """The guidance that the model reads.

    Args:
        config: has it as people give it.
        like: (B, ...), in the model's dtype and on its device.

    Returns:
        (B,) like that.
    """
    return like.new_full((len(like),), config.guidance * _GUIDANCE_SCALE)


def _vae(config: Hunyuan) -> dict[str, Any]:
    return {
        "latent_channels": config.latent_channels,
        "block_out_channels": config.vae_channels,
        "layers_per_block": config.vae_layers,
        "norm_num_groups": config.vae_groups,
        "scaling_factor": config.latent_scaling,
    }


def _transformer(config: Hunyuan) -> dict[str, Any]:
    return {
        "in_channels": config.latent_channels,
        "out_channels": config.latent_channels,
        "num_attention_heads": config.heads,
        "attention_head_dim": config.head_dim,
        "num_layers": config.dual_blocks,
        "num_single_layers": config.single_blocks,
        "num_refiner_layers": config.refiner_blocks,
        "text_embed_dim": config.text_dim,
        "pooled_projection_dim": config.pooled_dim,
        "rope_axes_dim": config.rope_axes,
    }
