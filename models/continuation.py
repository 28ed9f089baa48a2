"""Leads the first guess on from where the committed targets end, whoever made these. Made by models/action_dit.py.

A policy that learnt from demonstrated prefixes keeps 16 to 35 % of a committed target's deviation at the first free one, and so
begins with a jump. Here the guess keeps all of it there and loses it within some targets; the transformer corrects that.
Legend: B batch, H targets in a chunk, U numbers of an action vector.
"""

import torch
from torch import nn


class Continuation(nn.Module):
    """guess + d(last committed) * left(k) for the k-th target after it, d in rad and m; left falls from 1 to 0 as a cubic."""

    def __init__(self, horizon: int, action_width: int, blend: int) -> None:
        """`blend`: targets after which nothing of the deviation is left, above 0."""
        super().__init__()
        self.blend = blend
        self.places: torch.Tensor
        self.spread: torch.Tensor  # of the statistics, in whose units targets of different steps are
        self.register_buffer("places", torch.arange(horizon), persistent=False)
        self.register_buffer("spread", torch.ones(horizon, action_width), persistent=False)

    def forward(self, guess: torch.Tensor, noisy: torch.Tensor, committed: torch.Tensor) -> torch.Tensor:
        """Continue what is committed; where nothing is, the guess as it was.

        Args:
            guess: (B, H, U) normalised.
            noisy: (B, H, U) of which the committed targets are clean.
            committed: (B, H) bool, a chunk's first targets or none.

        Returns:
            (B, H, U) in the guess's dtype.
        """
        after = self.places - (committed.sum(1, keepdim=True) - 1)  # (B, H): 0 at the last committed target
        last = (committed & (after == 0))[..., None]
        off = ((noisy.float() - guess.float()) * self.spread * last).sum(1, keepdim=True)  # (B, 1, U) rad, gripper m
        share = (after / self.blend).clamp(0, 1)[..., None]
        left = 1 - share * share * (3 - 2 * share)
        return (guess.float() + off * left / self.spread).to(guess.dtype)
