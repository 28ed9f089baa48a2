"""Self-attention's products as one: queries, keys and values of a sequence in one matrix product. Used by models/layers.py.

Legend: B batch, N tokens, D width, h heads.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from models.norms import RMSNorm


class MergedProducts:
    """The weights of two linear layers, queries (D) and keys with values (2 D), in one tensor of which theirs become parts.

    So no weight is there twice, and the layers' names and numbers stay.
    """

    def __init__(self, layers: Sequence[nn.Linear], heads: int, norms: Sequence[RMSNorm]) -> None:
        """`norms` are of queries and keys, of one kind."""
        self._query, self._heads, self._norm = layers[0], heads, norms[0]
        self._weight = _joined([layer.weight for layer in layers])
        self._bias = _joined([layer.bias for layer in layers])
        weights = torch.stack([norm.weight.detach() for norm in norms])
        self._norms = self._norm.ready(weights).unsqueeze(1)  # (2, 1, D / h)

    @property
    def is_current(self) -> bool:
        """Whether the layers' weights are still parts of these: they were neither moved nor replaced."""
        return self._weight.data_ptr() == self._query.weight.data_ptr()

    def __call__(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries and keys, normalised, and values.

        Args:
            x: (B, N, D).

        Returns:
            (B, h, N, D / h) each.
        """
        each = functional.linear(x, self._weight, self._bias).unflatten(-1, (3, self._heads, -1))  # (B, N, 3, h, D / h)
        query, key = self._norm.together(each[:, :, :2], self._norms).transpose(1, 3).unbind(2)
        return query, key, each[:, :, 2].transpose(1, 2)


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    """The parts (n_i, ...) one after the other in one tensor, of which each becomes a view."""
    with torch.inference_mode(False), torch.no_grad():
        joined = torch.cat([part.detach() for part in parts])
        for part, piece in zip(parts, joined.split([len(part) for part in parts]), strict=True):
            part.data = piece
    return joined
