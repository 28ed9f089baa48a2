"""The few layers that both systems' own networks share: attention with normalised queries and keys, and feed-forward.

Legend: B batch, N tokens, D width, h heads.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

KeyValue = tuple[torch.Tensor, torch.Tensor]  # each (B, h, N, D / h)


class RMSNorm(nn.RMSNorm):
    """torch's, with its weight in what it is given: under autocast torch would leave its fused kernel, and warn."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise the last axis."""
        return functional.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class Attention(nn.Module):
    """Multi-head attention with normalised queries and keys; keys and values may be computed once and reused."""

    def __init__(self, width: int, heads: int, norm: Callable[[int], nn.Module] = RMSNorm) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.query_norm = norm(width // heads)
        self.key_norm = norm(width // heads)
        self.out = nn.Linear(width, width)

    def keys_values(self, context: torch.Tensor) -> KeyValue:
        """Keys and values of a context (B, N, D)."""
        key, value = self.key_value(context).chunk(2, dim=-1)
        return self.key_norm(self._split(key)), self._split(value)

    def forward(
        self, x: torch.Tensor, context: KeyValue | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(B, N, D) attends to the context, or to itself; mask (B, 1, 1, M) bool: which of the context there is."""
        key, value = self.keys_values(x) if context is None else context
        query = self.query_norm(self._split(self.query(x)))
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Sequential):
    """Two linear layers with GELU (tanh form) between."""

    def __init__(self, width: int, ratio: float = 1.0) -> None:
        inner = int(width * ratio)
        super().__init__(nn.Linear(width, inner), nn.GELU(approximate="tanh"), nn.Linear(inner, width))


def mlp(inputs: int, width: int, layers: int, between: nn.Module | None = None) -> nn.Sequential:
    """`layers` linear layers with GELU (or `between`) between: an adaptor into the transformer's width."""
    parts: list[nn.Module] = [nn.Linear(inputs, width)]
    for _ in range(layers - 1):
        parts += [between or nn.GELU(approximate="tanh"), nn.Linear(width, width)]
    return nn.Sequential(*parts)


def sinusoid(values: torch.Tensor, width: int, longest: float = 10_000.0) -> torch.Tensor:
    """Sine and cosine features (..., width) of values (...)."""
    half = width // 2
    exponents = torch.arange(half, dtype=torch.float32, device=values.device) / half
    angles = values.to(torch.float32).unsqueeze(-1) * longest**-exponents
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
