"""The few layers that both systems' own networks share: attention with normalised queries and keys, and feed-forward.

Used by models/action_dit.py and models/qformer.py. Legend: B batch, N tokens, M tokens of a context, D width, h heads.
"""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from models.merged import MergedProducts

_EPSILON = 1e-6  # of norms; RDT-1B's
KeyValue = tuple[torch.Tensor, torch.Tensor]  # keys and values of a context, each (B, h, M, D / h)


class RMSNorm(nn.RMSNorm):
    """torch's, with its weight in its input's dtype: under autocast torch would leave its fused kernel, and warn.

    y = x / sqrt(mean(x^2) + 1e-6) * w; 1e-6 is RDT-1B's.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=_EPSILON)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise each vector of the last axis by itself.

        Args:
            x: (..., D), any float dtype.

        Returns:
            (..., D) in the same dtype.
        """
        return functional.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)

    def fuse(self) -> None:
        """From now on compute with few operations, for inference: this norm already is one."""

    def together(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Several norms of this kind and width at once, each with weights of its own.

        Args:
            x: (..., n, h, D), any float dtype.
            weights: (n, 1, D) of `ready`.

        Returns:
            (..., n, h, D) in the same dtype.
        """
        return functional.rms_norm(x, self.normalized_shape, None, self.eps) * weights

    def ready(self, weights: torch.Tensor) -> torch.Tensor:
        """Weights as `together` takes them.

        Args:
            weights: (..., D).

        Returns:
            (..., D), the same.
        """
        return weights


class VarianceNorm(RMSNorm):
    """RDT-1B's norm: y = x / sqrt(var(x) + 1e-6) * w, the variance over D - 1, x itself not centred.

    RDT pins timm 1.0.3, whose RmsNorm computes this. RDT computes in bfloat16 throughout, without autocast, variance included;
    here too everything stays in the input's dtype, under autocast as well, which would give float32. torch sums the variance in
    float32. No kernel of torch does it in one launch: `functional.rms_norm` divides by the mean square.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self._ready: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale each vector of the last axis by itself.

        Args:
            x: (..., D), any float dtype.

        Returns:
            (..., D) in the same dtype.
        """
        if self._ready is not None:
            return self.together(x, self._ready)
        scale = torch.rsqrt(torch.var(x, dim=-1, keepdim=True) + _EPSILON)
        return x * scale.to(x.dtype) * self.weight.to(x.dtype)

    def fuse(self) -> None:
        """From now on three operations instead of five, for inference; the numbers differ by rounding."""
        self._ready = self.ready(self.weight.detach())

    def together(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """As RMSNorm.together. LayerNorm's kernel finds 1 / sqrt(variance over D + eps); its own output is written over.

        Args:
            x: (..., n, h, D), any float dtype.
            weights: (n, 1, D) of `ready`.

        Returns:
            (..., n, h, D) in the same dtype.
        """
        width = x.shape[-1]
        scaled, _, scale = torch.native_layer_norm(x, (width,), None, None, _EPSILON * (width - 1) / width)
        torch.mul(x, scale, out=scaled)
        return scaled.mul_(weights)

    def ready(self, weights: torch.Tensor) -> torch.Tensor:
        """Weights times what turns a variance over D into one over D - 1: sqrt((D - 1) / D), which bfloat16 could not hold.

        Args:
            weights: (..., D), any float dtype.

        Returns:
            (..., D) float32.
        """
        width = weights.shape[-1]
        return weights.float() * math.sqrt((width - 1) / width)


NORMS = {"rms": RMSNorm, "variance": VarianceNorm}  # by Head.norm


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
