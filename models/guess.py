"""A perceptron that guesses a chunk without denoising, which the action head then corrects. Made by models/action_dit.py.

Legend: B batch, H targets in a chunk, J joints, U numbers of an action vector, K System 2's tokens, D width.
"""

from dataclasses import dataclass

import torch
from torch import nn

from models.config.policy import PolicyConfig


@dataclass(frozen=True)
class FirstGuess:
    """What the guess gives before any denoising: a chunk, and what changes the blocks that correct it."""

    chunk: torch.Tensor  # (B, H, U), to be corrected
    modulation: torch.Tensor  # (B, D), of every block


class Guess(nn.Module):
    """A perceptron that guesses the chunk without denoising, and modulates the transformer that corrects the guess (adaLN).

    RDT-1B has nothing like it; Head.guess_width switches it on. System 2's tokens begin without influence.
    """

    def __init__(self, config: PolicyConfig, inputs: int) -> None:
        super().__init__()
        head, inner = config.head, config.head.guess_width
        self.known = nn.Linear(inputs, inner)
        self.each = nn.Linear(head.width, head.guess_tokens) if head.guess_tokens else None
        tokens = config.spatial_former.tokens + config.motion_former.tokens
        given = tokens * head.guess_tokens if head.guess_tokens else head.width
        self.understood = nn.Linear(given, inner)  # begins at zero: what System 2 tells is added as it proves useful
        nn.init.zeros_(self.understood.weight)
        nn.init.zeros_(self.understood.bias)
        self.inner = nn.Sequential(nn.SiLU(), nn.Linear(inner, inner), nn.SiLU())
        self.chunk = nn.Linear(inner, config.horizon * head.action_width)
        self.modulation = nn.Linear(inner, head.width)
        self.horizon = config.horizon

    def forward(
        self,
        keypoints: torch.Tensor,
        state: torch.Tensor,
        words: torch.Tensor,
        understood: torch.Tensor | None,
        there: torch.Tensor | None,
    ) -> FirstGuess:
        """Guess from what is seen, felt and said.

        Args:
            keypoints: (B, P) the first token of each picture, one after the other.
            state: (B, J) normalised joints.
            words: (B, D) mean of the instruction's tokens.
            understood: (B, K, D) System 2's tokens; None: a policy without video.
            there: (B, K) bool, which of these there are; None: all.

        Returns:
            The chunk (B, H, U) and the modulation (B, D).
        """
        x = self.known(torch.cat([keypoints, state.to(keypoints.dtype), words], dim=1))
        if understood is not None:
            x = x + self.understood(self._of_each(understood, there))
        x = self.inner(x)
        return FirstGuess(self.chunk(x).unflatten(1, (self.horizon, -1)), self.modulation(x))

    def _of_each(self, understood: torch.Tensor, there: torch.Tensor | None) -> torch.Tensor:
        """Head.guess_tokens numbers of every token, (B, K * n), or where that is 0 the mean of all, (B, D)."""
        if self.each is None:
            return mean(understood, there)
        features = self.each(understood)
        return (features if there is None else features * there[..., None]).flatten(1)


def mean(tokens: torch.Tensor, there: torch.Tensor | None) -> torch.Tensor:
    """Mean (B, D) of the tokens (B, n, D) that are there, (B, n) bool; zero where none is."""
    if there is None:
        return tokens.mean(1)
    return (tokens * there[..., None]).sum(1) / there.sum(1, keepdim=True).clamp(min=1)
