"""One block of the action head: self-attention, cross-attention to a context, feed-forward. Made by models/action_dit.py.

Legend: B batch, C observations, H targets in a chunk, M tokens of a context, D width, h heads.
"""

from typing import NamedTuple

import torch
from torch import nn

from models.layers import Attention, FeedForward, KeyValue
from models.norms import RMSNorm


class Change(NamedTuple):
    """How a block's part is modulated (adaLN): factor and summand before it, factor behind it; (B, 1, D) each."""

    scale: torch.Tensor  # 1 at first
    shift: torch.Tensor  # 0 at first
    gate: torch.Tensor  # 1 at first


class ActionBlock(nn.Module):
    """Self-attention, cross-attention, feed-forward, as RDT-1B's block: a norm before each, a residual around each."""

    def __init__(self, width: int, heads: int, modulated: bool, norm: type[RMSNorm]) -> None:
        super().__init__()
        self.modulation = nn.Linear(width, 6 * width) if modulated else None
        if self.modulation is not None:
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)
        self.self_norm = norm(width)
        self.self_attention = Attention(width, heads, norm)
        self.cross_norm = norm(width)
        self.cross = Attention(width, heads, norm)
        self.feed_norm = norm(width)
        self.feed_forward = FeedForward(width)

    def forward(
        self, x: torch.Tensor, context: KeyValue, mask: torch.Tensor | None, modulation: torch.Tensor | None
    ) -> torch.Tensor:
        """One block of one denoising step.

        Args:
            x: (B, 3 + H / token_targets, D): time, control frequency, state, targets.
            context: keys and values of C observations, (C, h, M, D / h) each; B / C chunks in a row share one's.
            mask: (C, 1, 1, M) bool, which of the context's tokens there are; None: all.
            modulation: (B, D), after its activation (SiLU); None: a head without a guess.

        Returns:
            (B, 3 + H / token_targets, D).
        """
        attention, feeding = self._changes(modulation)
        x = _added(x, self.self_attention(_shifted(self.self_norm(x), attention)), attention)
        chunks = len(x) // len(context[0])  # of one observation: they share its keys and values
        queries = self.cross_norm(x).unflatten(0, (-1, chunks)).flatten(1, 2)
        x = x + self.cross(queries, context, mask).unflatten(1, (chunks, -1)).flatten(0, 1)
        return _added(x, self.feed_forward(_shifted(self.feed_norm(x), feeding)), feeding)

    def _changes(self, modulation: torch.Tensor | None) -> tuple[Change | None, Change | None]:
        """What the modulation makes of self-attention and of feed-forward; None where there is none: nothing is changed."""
        if self.modulation is None or modulation is None:
            return None, None
        scale, shift, feed_scale, feed_shift, gate, feed_gate = (
            self.modulation(modulation).unsqueeze(1).chunk(6, dim=-1)
        )
        return Change(1 + scale, shift, 1 + gate), Change(1 + feed_scale, feed_shift, 1 + feed_gate)


def _shifted(x: torch.Tensor, by: Change | None) -> torch.Tensor:
    return x if by is None else x * by.scale + by.shift


def _added(x: torch.Tensor, update: torch.Tensor, by: Change | None) -> torch.Tensor:
    return x + update if by is None else x + update * by.gate
