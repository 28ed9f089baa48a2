"""The video models' features with less work than diffusers' own: what only the instruction decides is computed once for it, and
the rest has few operations, none of which waits for the device.

Used by models/lean_system2.py and models/graphs/lean_system2.py. The numbers differ from backbone.py's by rounding alone.
Legend: B batch, T frames, h w latent grid, N = T h w / 4 places, L words, S = N + L, D width, n heads of d.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from models.backbones.backbone import VideoText


@dataclass(frozen=True)
class Reading:
    """What the blocks need of an instruction; the same until another one comes."""

    words: torch.Tensor
    """Hunyuan: the refined words (1, L, D). Wan: keys and values of every block (blocks, 2, 1, L, D)."""
    modulation: torch.Tensor
    """(R, D) shifts, scales (1 added) and gates of all blocks, in the order in which they are used."""


class LeanBackbone(nn.Module, ABC):
    """Takes the weights of a video model over: that computes nothing any more. Only for diffusion time 0, without gradients."""

    frames: nn.Module
    """The VAE's encoder for a lone frame (models/backbones/frame_vae.py)."""

    def __init__(self) -> None:
        super().__init__()
        self._tables: dict[tuple[int, ...], tuple[torch.Tensor, torch.Tensor]] = {}

    @abstractmethod
    def encode(self, picture: torch.Tensor) -> torch.Tensor:
        """Backbone.encode of a lone frame.

        Args:
            picture: (1, 3, 1, H, W) RGB in -1..1, in the weights' dtype.

        Returns:
            (1, c, 1, h, w).
        """
        ...

    @abstractmethod
    def read(self, text: VideoText) -> Reading:
        """What the blocks need of an instruction; takes about as long as a run, so it is asked for once.

        Args:
            text: states (1, L, text_dim) and pooled (1, pooled_dim), on the device, in the weights' dtype.
        """
        ...

    @abstractmethod
    def features(self, latents: torch.Tensor, words: torch.Tensor, modulation: torch.Tensor) -> torch.Tensor:
        """Backbone.features.

        Args:
            latents: (1, c, T, h, w) as `encode` gives them.
            words: of a Reading.
            modulation: of the same Reading.

        Returns:
            (1, T, h / 2, w / 2, D).
        """
        ...

    @abstractmethod
    def blocks(self) -> dict[str, list[nn.Module]]:
        """The blocks by their kind, in the order in which they run: what `compile_blocks` compiles and the bench counts."""
        ...

    @abstractmethod
    def only_read(self) -> Iterator[nn.Module]:
        """The layers that nothing but `read` uses."""
        ...

    @property
    @abstractmethod
    def transformer(self) -> Any:
        """diffusers' model, whose blocks are taken out of it."""
        ...

    def table(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and signed sines (N, d) float32 of the places' rotation, made once for each size.

        Args:
            latents: (1, c, T, h, w), of which the sizes alone count.
        """
        size = tuple(latents.shape[2:])
        if size not in self._tables:
            cos, sin = (part.reshape(-1, part.shape[-1]).float() for part in self.transformer.rope(latents))
            signs = torch.ones_like(sin)
            signs[:, ::2] = -1.0
            self._tables[size] = cos, sin * signs
        return self._tables[size]

    def compile_blocks(self) -> None:
        """torch.compile for each kind of block, as one graph, at its first run; blocks of a kind share it."""
        for blocks in self.blocks().values():
            for block in blocks:
                block.compile(fullgraph=True)


class Projection(nn.Module):
    """Linear layers of one input as one, perhaps stored in 8 bits or on another device than the input; takes their weights."""

    def __init__(self, *layers: Any) -> None:
        super().__init__()
        self.weight, self.bias = (nn.Parameter(part, requires_grad=False) for part in _joined(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., sum of the outs)."""
        weight, bias = (part.to(x.device, x.dtype, non_blocking=True) for part in (self.weight, self.bias))
        return functional.linear(x, weight, bias)


class FeedForward(nn.Module):
    """diffusers' feed-forward with GELU in its tanh form; takes its weights."""

    def __init__(self, of: Any) -> None:
        super().__init__()
        self.widen, self.narrow = Projection(of.net[0].proj), Projection(of.net[2])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., D) -> (..., D)."""
        return self.narrow(functional.gelu(self.widen(x), approximate="tanh"))


def rotated(x: torch.Tensor, table: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Rotary position embedding of neighbouring pairs, in float32.

    Args:
        x: (..., d), queries and keys.
        table: cosines and signed sines, broadcast against x.

    Returns:
        The same shape and dtype.
    """
    cos, sin = table
    swapped = x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    return torch.addcmul(x * cos, swapped, sin).to(x.dtype)


def attended(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attention without a mask: (1, S, n, d) asks (1, M, n, d); gives (1, S, D)."""
    query, key, value = (part.transpose(1, 2) for part in (query, key, value))
    return functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


def _joined(layers: tuple[Any, ...]) -> list[torch.Tensor]:
    """Weight and bias of layers beside each other; the layers lose theirs, so that no weight is held twice."""
    parts = [[getattr(layer, name).data for layer in layers] for name in ("weight", "bias")]
    if len(layers) == 1:
        return [found for (found,) in parts]
    for layer in layers:
        layer.weight = layer.bias = None
    stored = parts[0][0].dtype
    if stored.itemsize == 1:  # float8, which cannot be joined as such
        return [torch.cat([part.view(torch.uint8) for part in found]).view(stored) for found in parts]
    return [torch.cat(found) for found in parts]
