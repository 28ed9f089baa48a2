"""The few layers that both systems' own networks share: attention with normalised queries and keys, and feed-forward.

Used by models/action_dit.py and models/qformer.py. Legend: B batch, N tokens, M tokens of a context, D width, h heads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import nn
from torch.nn import functional

KeyValue = tuple[torch.Tensor, torch.Tensor]  # keys and values of a context, each (B, h, M, D / h)


class RMSNorm(nn.RMSNorm):
    """torch's, with its weight in its input's dtype: under autocast torch would leave its fused kernel, and warn.

    y = x / sqrt(mean(x^2) + 1e-6) * w; 1e-6 is RDT-1B's.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise each vector of the last axis by itself.

        Args:
            x: (..., D), any float dtype.

        Returns:
            (..., D) in the same dtype.
        """
        return functional.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)

    def together(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Several norms of this kind and width at once, each with weights of its own.

        Args:
            x: (..., n, h, D), any float dtype.
            weights: (n, 1, D).

        Returns:
            (..., n, h, D) in the same dtype.
        """
        return functional.rms_norm(x, self.normalized_shape, None, self.eps) * weights.to(x.dtype)


@dataclass(frozen=True)
class Merged:
    """The weights of self-attention's three products as one, and those of both norms; the layers' own are parts of them."""

    weight: torch.Tensor  # (3 D, D): of queries, keys, values
    bias: torch.Tensor  # (3 D,)
    norms: torch.Tensor  # (2, 1, D / h): of queries, keys

    @classmethod
    def of(cls, attention: "Attention") -> Self:
        """Merge them: from then on a layer's weights are a part of the merged ones, so that none is there twice."""
        query, key_value = attention.query, attention.key_value
        norms = [attention.query_norm.weight, attention.key_norm.weight]
        return cls(
            _joined([query.weight, key_value.weight]),
            _joined([query.bias, key_value.bias]),
            _joined(norms).view(2, 1, -1),
        )

    def belongs_to(self, attention: "Attention") -> bool:
        """Whether its weights are still the layers' own: they were neither moved nor replaced since."""
        own = (attention.query.weight, attention.query.bias, attention.query_norm.weight)
        ours = (self.weight, self.bias, self.norms)
        return all(a.data_ptr() == b.data_ptr() for a, b in zip(own, ours, strict=True))


def _joined(parts: list[nn.Parameter]) -> torch.Tensor:
    """The parts (n_i, ...) one after the other in one tensor, of which each becomes a view."""
    with torch.inference_mode(False), torch.no_grad():
        joined = torch.cat([part.detach() for part in parts])
        for part, piece in zip(parts, joined.split([len(part) for part in parts]), strict=True):
            part.data = piece
    return joined


class Attention(nn.Module):
    """Multi-head attention with normalised queries and keys (RDT-1B's QK-norm); a context's keys and values can be reused.

    Norms come before the heads are brought in front of the tokens: nothing has to be copied for them.
    """

    def __init__(self, width: int, heads: int, norm: Callable[[int], nn.Module] = RMSNorm) -> None:
        super().__init__()
        self.heads = heads
        self._merged: Merged | None = None
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
        """From now on queries, keys and values of self-attention are one product; for inference, on RMSNorm.

        The numbers stay the same, and so do the weights' names. To be called again after weights were moved or replaced.
        """
        if self._merged is None or not self._merged.belongs_to(self):
            self._merged = Merged.of(self)

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
            query, key, value = self._of_itself(x, self._merged)
        else:
            key, value = self.keys_values(x) if context is None else context
            query = self.query_norm(self._split(self.query(x))).transpose(1, 2)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _of_itself(self, x: torch.Tensor, merged: Merged) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values (B, h, N, D / h) of x (B, N, D), in one product."""
        each = functional.linear(x, merged.weight, merged.bias).unflatten(-1, (3, self.heads, -1))
        query, key = self.query_norm.together(each[:, :, :2], merged.norms).transpose(1, 3).unbind(2)
        return query, key, each[:, :, 2].transpose(1, 2)

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
