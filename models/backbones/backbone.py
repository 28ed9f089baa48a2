"""What System 2 needs of a video diffusion model; called by models/system2.py, models/window.py and stage 1's training.

Legend: B batch, T frames, T' latent frames, H W px, h w latent grid, c latent and C feature channels, L words.
"""

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
    """Base of the video models: a VAE without its decoder, and the first blocks of a transformer."""

    transformer: Any
    """The model of diffusers whose blocks are kept."""
    vae: Any
    """Its VAE without the decoder."""

    @abstractmethod
    def load(self, folder: Path, dtype: torch.dtype, transformer: Path | None = None) -> None:
        """Take published weights, of the transformer only as many blocks as configured.

        Args:
            folder: in diffusers' layout: `vae/` and `transformer/`.
            dtype: what the weights are brought to.
            transformer: where the transformer lies if not in `folder`.

        Raises:
            ModelError: the folder holds another model, or not all of it.
        """
        ...

    @abstractmethod
    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """The VAE's latents: the posterior's mode, never a sample, scaled to about mean 0 and spread 1.

        Args:
            pictures: (1, 3, T, H, W) RGB in -1..1, in the weights' dtype.

        Returns:
            (1, c, T', h, w); T' is 1 for a single picture, which so becomes a latent of its own.
        """
        ...

    @abstractmethod
    def features(self, latents: torch.Tensor, text: VideoText, words: torch.Tensor | None = None) -> torch.Tensor:
        """F of Video2Act, eq. (1): the last kept block at the beginning of the inversion, diffusion time 0 on clean latents.

        Args:
            latents: (B, c, T, h, w) as `encode` gives them.
            text: states (B, L, text_dim) and pooled (B, pooled_dim).
            words: (B, L) bool, which of the states there are; None: all.

        Returns:
            (B, T, h / 2, w / 2, C): a token is a patch of 2 x 2 latents.
        """
        ...

    @abstractmethod
    def velocity(self, noisy: torch.Tensor, time: torch.Tensor, text: VideoText, words: torch.Tensor) -> torch.Tensor:
        """The flow from clean latents to noise, for stage 1: the last layer is the whole model's own, on the kept blocks.

        Args:
            noisy: (B, c, T, h, w) = (1 - time) * clean + time * noise.
            time: (B,) 0 clean to 1 noise.
            text: states (B, L, text_dim) and pooled (B, pooled_dim).
            words: (B, L) bool, which of the states there are.

        Returns:
            (B, c, T, h, w), an estimate of noise - clean.
        """
        ...

    @abstractmethod
    def new_autoencoder(self) -> nn.Module:
        """A whole VAE to be trained, for policies whose video model is not published.

        Returns:
            Encoder and decoder of the configured size, with random weights; not yet this model's.
        """
        ...

    @abstractmethod
    def measured(self, mean: torch.Tensor, spread: torch.Tensor) -> dict[str, Any]:
        """How a newly trained VAE's latents are to be scaled.

        Args:
            mean: (c,) of its latents as `encode` gives them now.
            spread: (c,) their standard deviation.

        Returns:
            Fields of the backbone's configuration, with which `encode` gives about mean 0 and spread 1.
        """
        ...

    def take_autoencoder(self, vae: nn.Module) -> None:
        """Use a trained VAE from now on.

        Args:
            vae: of the configured size; its decoder is dropped.
        """
        self.vae = without_decoder(vae)

    def store_in_float8(self, dtype: torch.dtype) -> None:
        """Keep the transformer's large weights in 8 bits (e4m3), which halves their memory.

        Args:
            dtype: what each layer's weights are brought to while it runs.
        """
        from diffusers.hooks.layerwise_casting import apply_layerwise_casting  # seconds to import, rarely needed

        apply_layerwise_casting(self.transformer, torch.float8_e4m3fn, dtype, skip_modules_pattern=_NOT_IN_FLOAT8)

    def compile_blocks(self) -> None:
        """torch.compile for each block by itself: equal ones share what is compiled, at their first run."""
        for block in itertools.chain(*self.blocks().values()):
            block.compile()

    @abstractmethod
    def blocks(self) -> dict[str, list[nn.Module]]:
        """The blocks that are kept, for those who adapt, count or compile them.

        Returns:
            By their kind, as Hunyuan's `dual-stream`; kinds and blocks in the order in which they run.
        """
        ...

    @property
    @abstractmethod
    def encoder(self) -> nn.Module:
        """The part of the VAE that encodes, without what samples or scales."""
        ...


def in_float8(transformer: nn.Module) -> list[nn.Parameter]:
    """The weights that `store_in_float8` keeps in 8 bits, to count memory before anything is loaded.

    Args:
        transformer: of a backbone.

    Returns:
        Weights and biases of its linear and convolutional layers but the delicate ones.
    """
    layers = [(name, layer) for name, layer in transformer.named_modules() if isinstance(layer, nn.Linear | nn.Conv3d)]
    large = [layer for name, layer in layers if not any(word in name for word in _NOT_IN_FLOAT8)]
    return [weight for layer in large for weight in layer.parameters()]


def without_decoder(vae: Vae) -> Vae:
    """Drop what only decoding needs: most of a VAE's weights.

    Args:
        vae: of diffusers; changed in place.

    Returns:
        The same object.
    """
    whole: Any = vae
    whole.decoder = whole.post_quant_conv = None
    return vae
