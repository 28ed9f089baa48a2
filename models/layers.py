"""The few layers that both systems' own networks share: attention with normalised queries and keys, and feed-forward.

Used by models/action_dit.py and models/qformer.py. Legend: B batch, N tokens, M tokens of a context, D width, h heads.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from models.merged import MergedProducts
from models.norms import RMSNorm

KeyValue = tuple[torch.Tensor, torch.Tensor]  # keys and values of a context, each (B, h, M, D / h)


class Attention(nn.Module):
    """Multi-head attention with normalised queries and keys (RDT-1B's QK-norm); a context's keys and values can be reused.

    Norms come before the heads are brought in front of the tokens: nothing has to be copied for them.
    """

    def __init__(self, width: int, heads: int, norm: Callable[[int], nn.Module] = RMSNorm) -> None:
        super().__init__()
        self.heads = heads
        self._merged: MergedProducts | None = None
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.query_norm = norm(width // heads)
        self.key_norm = norm(width // heads)
        self.out = nn.Linear(width, width)

    def keys_values(self, context: torch.Tensor) -> KeyValue:
        """What attention reads of a context; made once where the context is used again.

        Args:
            context: (B, M, D).

        Returns:
            Keys, normalised, and values; (B, h, M, D / h) each.
        """
        key, value = self.key_value(context).chunk(2, dim=-1)
        return self.key_norm(self._split(key)).transpose(1, 2), self._split(value).transpose(1, 2)

    def merge(self) -> None:
        """From now on queries, keys and values of self-attention are one product; for inference.

        The numbers stay the same, and so do the weights' names. To be called again after weights were moved or replaced.
        """
        query_norm, key_norm = self.query_norm, self.key_norm
        assert isinstance(query_norm, RMSNorm) and isinstance(key_norm, RMSNorm), "the action head's"
        if self._merged is None or not self._merged.is_current:
            self._merged = MergedProducts((self.query, self.key_value), self.heads, (query_norm, key_norm))

    def forward(
        self, x: torch.Tensor, context: KeyValue | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """softmax(q k^T / sqrt(D / h)) v, projected.

        Args:
            x: (B, N, D) asks.
            context: what it asks, two times (B, h, M, D / h); None: itself.
            mask: (B, 1, 1, M) bool, which of the context's tokens there are; None: all.

        Returns:
            (B, N, D), to be added to x by the caller.
        """
        if context is None and self._merged is not None:
            query, key, value = self._merged(x)
        else:
            key, value = self.keys_values(x) if context is None else context
            query = self.query_norm(self._split(self.query(x))).transpose(1, 2)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """(B, N, D) -> (B, N, h, D / h)."""
        return x.unflatten(-1, (self.heads, -1))


class FeedForward(nn.Sequential):
    """Two linear layers, `ratio` times as wide between, with GELU in its tanh form, as RDT-1B has it."""

    def __init__(self, width: int, ratio: float = 1.0) -> None:
        inner = int(width * ratio)
        super().__init__(nn.Linear(width, inner), nn.GELU(approximate="tanh"), nn.Linear(inner, width))


def mlp(inputs: int, width: int, layers: int, between: nn.Module | None = None) -> nn.Sequential:
    """An adaptor into the transformer's width: linear layers with GELU (tanh form) between them.

    Args:
        inputs: numbers that the first layer reads.
        width: numbers of every layer's output.
        layers: how many linear layers, at least 1.
        between: another activation; it has no weights, so one serves all gaps.

    Returns:
        A network (..., inputs) -> (..., width).
    """
    parts: list[nn.Module] = [nn.Linear(inputs, width)]
    for _ in range(layers - 1):
        parts += [between or nn.GELU(approximate="tanh"), nn.Linear(width, width)]
    return nn.Sequential(*parts)


def sinusoid(values: torch.Tensor, width: int, longest: float = 10_000.0) -> torch.Tensor:
    """Cosines and sines of values at frequencies longest^(-2 i / width) rad per unit, i from 0 (Vaswani et al. 2017).

    Args:
        values: (...), any number type; a time, a place or a rate.
        width: even; half of the features are cosines, half sines.
        longest: the slowest wave is about 2 pi times so many units long; 10 000 in that paper, and in RDT-1B.

    Returns:
        (..., width) float32 in -1..1.
    """
    half = width // 2
    exponents = torch.arange(half, dtype=torch.float32, device=values.device) / half
    angles = values.to(torch.float32).unsqueeze(-1) * longest**-exponents
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
