"""What passes in and out of a policy's two objects: SlowSystem (models/slow.py) and FastSystem (models/fast.py)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.backbones.backbone import VideoText

Pictures = tuple[NDArray[np.uint8], ...]  # one (H, W, 3) RGB a camera, in the checkpoint's order


@dataclass(frozen=True)
class InstructionEmbedding:
    """An encoded instruction: for the head (1, L, D) and for the video model. Made once, cached, never in the loop."""

    language: torch.Tensor
    video: VideoText


@dataclass(frozen=True)
class ConditionTokens:
    """What System 2 hands to System 1: (K, D) float32 each."""

    spatial: torch.Tensor
    motion: torch.Tensor


@dataclass(frozen=True)
class EncodedVideo(ConditionTokens):
    """The same with, for people, where in the picture it comes from: (h, w) on the features' grid, not negative."""

    spatial_map: torch.Tensor  # how strong the boundaries are in the newest frame
    motion_map: torch.Tensor  # how strong the motion is over the whole long window
