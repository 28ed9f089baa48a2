"""System 2 as one object: video windows in, condition tokens out. Knows nothing of processes or devices."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models import filters, images
from models.backbones.backbone import VideoText
from models.backbones.hunyuan import HunyuanBackbone
from models.config import PolicyConfig
from models.policy import ConditionTokens, InstructionEmbedding
from models.qformer import TokenCompressor
from models.window import LatentRing

_KEPT_LATENTS = 64


class SlowSystem(nn.Module):
    """System 2: video model at the clean end of inversion, filters, two Q-formers (paper Eq. 1 to 3)."""

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = HunyuanBackbone(config.video)
        self.spatial_former = TokenCompressor(config.spatial_former, config.video.width, temporal=False)
        self.motion_former = TokenCompressor(config.motion_former, config.video.width, temporal=True)
        self.high = LatentRing(self.backbone, config.video.high, keep=8)
        self.low = LatentRing(self.backbone, config.video.low, keep=_KEPT_LATENTS)

    @torch.inference_mode()
    def encode(self, ring: LatentRing, number: int, picture: NDArray[np.uint8]) -> None:
        """Put a frame's latent into `high` or `low`, unless it is there."""
        if number in ring:
            return
        tensor = images.to_tensor(picture, self.device)
        ring.encode(number, images.resize(tensor, ring.window.height_px, ring.window.width_px, self.config.resize))

    @torch.inference_mode()
    def perceive(self, high: list[int], low: list[int], instruction: InstructionEmbedding) -> ConditionTokens:
        """Condition tokens of the two windows, given by the numbers of encoded frames, oldest first."""
        features_high, features_low = (
            self.backbone.features(ring.window_latents(numbers), instruction.video)
            for ring, numbers in ((self.high, high), (self.low, low))
        )
        return self.compress(features_high, features_low)

    def compress(self, features_high: torch.Tensor, features_low: torch.Tensor) -> ConditionTokens:
        """Filters and Q-formers on features (1, T, h, w, C)."""
        spatial = filters.spatial(features_high, self.config.filters)
        motion = filters.motion(features_low, self.config.filters)
        return ConditionTokens(
            self.spatial_former(spatial.flatten(2, 3))[0], self.motion_former(motion.flatten(2, 3))[0]
        )

    def warm_up(self) -> None:
        """Run everything once, so that the first condition is not the slowest; leaves no trace in the rings."""
        for ring in (self.high, self.low):
            blank = np.zeros((ring.window.height_px, ring.window.width_px, 3), np.uint8)
            for number in range(ring.window.frames):
                self.encode(ring, number, blank)
        high, low = (list(range(ring.window.frames)) for ring in (self.high, self.low))
        video = self.config.video
        text = VideoText(torch.zeros(1, 1, video.text_dim), torch.zeros(1, video.pooled_dim))
        self.perceive(high, low, InstructionEmbedding(torch.zeros(1, 1, self.config.text.width), text))
        self.high.clear()
        self.low.clear()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device
