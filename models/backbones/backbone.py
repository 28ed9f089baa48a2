"""What System 2 needs of a video diffusion model."""

import itertools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

Vae = TypeVar("Vae", bound=nn.Module)
_NOT_IN_FLOAT8 = ("embed", "norm_q", "norm_k", "norm_added")  # few weights, and the most delicate


@dataclass(frozen=True)
class VideoText:
    """The instruction as the video model reads it: states (1, L, text_dim), pooled (1, pooled_dim).

    Hunyuan's states have no padding; Wan's are filled up with zeros to the length that it was trained with.
    """

    states: torch.Tensor
    pooled: torch.Tensor


class Backbone(nn.Module, ABC):
    """Base of the video models. Legend: T frames, H W pixels, h w latent grid, C feature channels."""

    transformer: Any
    """The model of diffusers whose blocks are kept."""
    vae: Any
    """Its VAE without the decoder."""

    @abstractmethod
    def load(self, folder: Path, dtype: torch.dtype) -> None:
        """Take the published weights of a folder in diffusers' layout, the transformer only as deep as configured.

        Raises ModelError when the folder holds another model, or not all of it.
        """
        ...

    @abstractmethod
    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (1, 3, T, H, W) in -1..1 to latents (1, c, T', h, w), scaled, deterministic; one gives one."""
        ...

    @abstractmethod
    def features(self, latents: torch.Tensor, text: VideoText, words: torch.Tensor | None = None) -> torch.Tensor:
        """Latents (B, c, T, h, w) to features (B, T, h / 2, w / 2, C) of the last block kept, at diffusion time 0.

        words (B, L) bool: which there are of text states (B, L, D); None: all.
        """
        ...

    @abstractmethod
    def velocity(self, noisy: torch.Tensor, time: torch.Tensor, text: VideoText, words: torch.Tensor) -> torch.Tensor:
        """Direction from clean to noise of latents (B, c, T, h, w) at times (B,), 0 clean to 1 noise; for training.

        text states (B, L, D); words (B, L) bool: which of them there are. The last layer is the whole model's own, on the
        blocks that are kept.
        """
        ...

    @abstractmethod
    def new_autoencoder(self) -> nn.Module:
        """A whole VAE of the configured size, to be trained."""
        ...

    @abstractmethod
    def measured(self, mean: torch.Tensor, spread: torch.Tensor) -> dict[str, Any]:
        """Configuration values that bring a new VAE's latents, of mean and spread (c,), to about mean 0, spread 1."""
        ...

    def take_autoencoder(self, vae: nn.Module) -> None:
        """Use the encoder of a trained VAE from now on."""
        self.vae = without_decoder(vae)

    def store_in_float8(self, dtype: torch.dtype) -> None:
        """Keep the transformer's large weights in 8 bits; each layer's are brought to `dtype` while it runs."""
        from diffusers.hooks.layerwise_casting import apply_layerwise_casting  # seconds to import, rarely needed

        apply_layerwise_casting(self.transformer, torch.float8_e4m3fn, dtype, skip_modules_pattern=_NOT_IN_FLOAT8)

    def compile_blocks(self) -> None:
        """torch.compile for the blocks: equal ones share what is compiled."""
        for block in itertools.chain(*self.blocks().values()):
            block.compile()

    @abstractmethod
    def blocks(self) -> dict[str, list[nn.Module]]:
        """The blocks that are kept, in order, by their kind."""
        ...

    @property
    @abstractmethod
    def encoder(self) -> nn.Module:
        """The part of the VAE that encodes."""
        ...


def in_float8(transformer: nn.Module) -> list[nn.Parameter]:
    """The weights that `store_in_float8` keeps in 8 bits."""
    layers = [(name, layer) for name, layer in transformer.named_modules() if isinstance(layer, nn.Linear | nn.Conv3d)]
    large = [layer for name, layer in layers if not any(word in name for word in _NOT_IN_FLOAT8)]
    return [weight for layer in large for weight in layer.parameters()]


def without_decoder(vae: Vae) -> Vae:
    """The VAE without what only decoding needs: most of its weights."""
    whole: Any = vae
    whole.decoder = whole.post_quant_conv = None
    return vae
