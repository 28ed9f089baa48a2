"""What passes in and out of a policy's two objects: SlowSystem (models/system2.py) and FastSystem (models/system1.py).

Used by both, and by runtime/policy, which turns it into arrays and messages.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.backbones.backbone import VideoText

Pictures = tuple[NDArray[np.uint8], ...]  # one (H, W, 3) RGB a camera, in the checkpoint's order


@dataclass(frozen=True)
class InstructionEmbedding:
    """An encoded instruction: `language` (1, L, D) for the head, `video` for the video model. Made once and cached."""

    language: torch.Tensor
    video: VideoText

    @classmethod
    def of_pooled(cls, pooled: torch.Tensor) -> "InstructionEmbedding":
        """That of a policy that reads one token (1, D) alone."""
        return cls(pooled[:, None], VideoText(pooled[:, None], pooled))


@dataclass(frozen=True)
class ConditionTokens:
    """What System 2 hands to System 1, F_VDM of Video2Act, section 3.3: (K, D) each, in the weights' dtype."""

    spatial: torch.Tensor
    motion: torch.Tensor


@dataclass(frozen=True)
class EncodedVideo(ConditionTokens):
    """The tokens, and for people two maps of where in the picture they come from: (h, w) float32 >= 0 on the features' grid."""

    spatial_map: torch.Tensor  # how strong the boundaries are in the newest frame
    motion_map: torch.Tensor  # how strong the motion is over the whole long window
