"""What an action network with eyes sees besides System 2's features: the newest pictures and joints. The paper's has none.

Made by action_unet.py. Legend: B batch, K cameras, S px of a picture, J joints.
"""

from dataclasses import dataclass

import torch
from torch import nn

from models.config.encoders import Keypoints
from models.encoders.keypoints import KeypointEncoder


@dataclass(frozen=True)
class Seen:
    """The newest pictures and joints."""

    pictures: torch.Tensor
    """(B, K, 3, S, S) RGB in -1..1."""
    state: torch.Tensor
    """(B, J) normalised joints."""


class Newest(nn.Module):
    """One vector of pictures and joints: the eyes of Video2Act's `small`, and a layer."""

    def __init__(self, eyes: Keypoints, cameras: int, joints: int) -> None:
        super().__init__()
        self.width = 2 * eyes.width
        self.images = KeypointEncoder(eyes, cameras)
        self.pictures = nn.Linear(cameras * eyes.tokens * eyes.width, eyes.width)
        self.state = nn.Linear(joints, eyes.width)

    def forward(self, seen: Seen) -> torch.Tensor:
        """The vector.

        Args:
            seen: what there is.

        Returns:
            (B, width).
        """
        tokens = self.images(seen.pictures.flatten(0, 1)).unflatten(0, seen.pictures.shape[:2])
        return torch.cat([self.pictures(tokens.flatten(1)), self.state(seen.state)], dim=1)
