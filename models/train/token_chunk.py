"""A chunk predicted from System 2's tokens without pictures: a further loss of stage 2, which makes the Q-formers tell more.

Called by models/train/action.py, and thrown away at the end: no checkpoint holds it. Without it the head learns to see long
before the tokens say anything, and then has no use for what they could say.
Legend: W windows, B observations, K tokens, D width, n numbers of a token, H targets, J joints.
"""

import torch
from torch import nn

from models.config.policy import PolicyConfig

_OF_EACH = 16  # n; chosen: twice those that the first guess of `small` hears
_WIDTH = 256  # chosen: half of that guess's, which also sees


class TokenChunk(nn.Module):
    """A perceptron of all tokens, the joints and the tokens' age, to a normalised chunk."""

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        former, tokens = config.spatial_former, config.spatial_former.tokens + config.motion_former.tokens
        self.each = nn.Linear(former.width, _OF_EACH)
        self.tokens = nn.Linear(tokens * _OF_EACH, _WIDTH)
        self.known = nn.Linear(config.joints + 1, _WIDTH)
        self.chunk = nn.Sequential(
            nn.SiLU(), nn.Linear(_WIDTH, _WIDTH), nn.SiLU(), nn.Linear(_WIDTH, config.horizon * config.joints)
        )
        self.joints = config.joints

    def forward(self, tokens: torch.Tensor, state: torch.Tensor, age_s: torch.Tensor) -> torch.Tensor:
        """Tell the chunks of observations.

        Args:
            tokens: (W, K, D) spatial, then motion.
            state: (B, J) normalised joints; B is a multiple of W, a window's observations beside each other.
            age_s: (B,) of the newest frame that the tokens' window saw.

        Returns:
            (B, H, J) normalised.
        """
        heard = self.tokens(self.each(tokens).flatten(1)).repeat_interleave(len(state) // len(tokens), dim=0)
        known = self.known(torch.cat([state, age_s[:, None]], dim=1).to(heard.dtype))
        return self.chunk(heard + known).unflatten(1, (-1, self.joints))
