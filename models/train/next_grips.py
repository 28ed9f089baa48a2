"""Where each hand will next open or close, told from pictures or from System 2's tokens without the joints: a further loss.

Called by models/train/action.py, and thrown away at the end: no checkpoint holds it. A few steps after an episode's begin the
joints tell where the arms are going, so nearly all of a chunk's loss can be met without sight; this part of it cannot.
Demonstrations hold the answer, simulated or not. Legend: T steps, J joints, B observations, K tokens, D width, A arms.
"""

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from models.config.policy import PolicyConfig
from models.data.episode import DEMONSTRATION_HZ, GRIPPERS

_MOVES_M_S = 0.03  # a gripper's target that is quicker opens or closes; chosen: hands take 0.4 s for 40 mm or more
_OF_EACH = 16  # numbers that are heard of a token; chosen, as TokenChunk's
_WIDTH = 256  # chosen, as TokenChunk's


def next_grips(targets: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """At every step, where each arm is sent when its gripper next begins to move.

    Args:
        targets: (T, J) demonstrated; rad, gripper m.

    Returns:
        The targets (T, J) of that moment, each arm's joints from its own one, and whether (T, A) there is one; where there is
        none, the last step's.
    """
    found, there = np.repeat(targets[-1:], len(targets), axis=0), np.zeros((len(targets), len(GRIPPERS)), np.bool_)
    step_m = _MOVES_M_S / DEMONSTRATION_HZ
    for arm, gripper in enumerate(GRIPPERS):
        moves = np.abs(np.diff(targets[:, gripper], append=targets[-1:, gripper])) > step_m
        own = slice(gripper - GRIPPERS[0], gripper + 1)
        for step in range(len(targets) - 1, -1, -1):
            if moves[step]:
                found[step, own], there[step, arm] = targets[step, own], True
            elif step + 1 < len(targets):
                found[step, own], there[step, arm] = found[step + 1, own], there[step + 1, arm]
    return found, there


class GripTeller(nn.Module):
    """A perceptron of all tokens to the joints at which each hand next opens or closes, and to whether it will."""

    def __init__(self, tokens: int, width: int, joints: int) -> None:
        """`tokens` of an observation, K, of `width` numbers each, D; `joints` J."""
        super().__init__()
        self.each = nn.Linear(width, _OF_EACH)
        self.all = nn.Sequential(
            nn.Linear(tokens * _OF_EACH, _WIDTH), nn.SiLU(), nn.Linear(_WIDTH, joints + len(GRIPPERS))
        )
        self.joints = joints

    @classmethod
    def of_tokens(cls, config: PolicyConfig) -> Self:
        """One for System 2's tokens."""
        former = config.spatial_former
        return cls(former.tokens + config.motion_former.tokens, former.width, config.joints)

    @classmethod
    def of_images(cls, config: PolicyConfig) -> Self:
        """One for a set of System 1's images."""
        return cls(len(config.cameras) * config.image.tokens, config.image.width, config.joints)

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tell the next grips.

        Args:
            tokens: (B, K, D).

        Returns:
            Normalised joints (B, J), and the logit (B, A) of whether there will be one.
        """
        found = self.all(self.each(tokens).flatten(1)).float()
        return found[:, : self.joints], found[:, self.joints :]

    def loss(
        self, tokens: torch.Tensor, grips: torch.Tensor, there: torch.Tensor, counts: torch.Tensor
    ) -> torch.Tensor:
        """Mean squared error of the joints of arms that will, and cross-entropy of whether they will.

        Args:
            tokens: (B, K, D).
            grips: (B, J) normalised, of `next_grips`.
            there: (B, A) bool, of `next_grips`.
            counts: (B,) bool, which observations show anything; with none the loss is 0.

        Returns:
            A scalar, float32.
        """
        joints, logits = self(tokens)
        of_arm = there.repeat_interleave(self.joints // there.shape[1], dim=1) & counts[:, None]
        error = (joints - grips).square().mul(of_arm).sum() / of_arm.sum().clamp(min=1)
        unsure = functional.binary_cross_entropy_with_logits(logits, there.float(), reduction="none")
        return error + unsure.mul(counts[:, None]).sum() / (counts.sum() * there.shape[1]).clamp(min=1)
