"""The norms of the action head and of attention's queries and keys: by the mean square, or by RDT-1B's variance.

Used by models/layers.py, models/merged.py and models/action_dit.py. Legend: n norms at once, h heads, D width.
"""

import math

import torch
from torch import nn
from torch.nn import functional

_EPSILON = 1e-6  # RDT-1B's


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
