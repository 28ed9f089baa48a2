"""System 2 as one object: video windows in, condition tokens out. Knows nothing of processes or devices."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models import filters, images
from models.backbones.backbone import Backbone, VideoText
from models.config import PolicyConfig, Video
from models.policy import EncodedVideo, InstructionEmbedding
from models.qformer import TokenCompressor
from models.window import LatentRing

_KEPT_LATENTS = (8, 64)  # of the short and the long window, at least


class SlowSystem(nn.Module):
    """System 2: video model at the clean end of inversion, filters, two Q-formers (paper Eq. 1 to 3)."""

    def __init__(self, config: PolicyConfig, backbone: Backbone | None = None) -> None:
        """`backbone`: one whose weights are there already; else a new one."""
        super().__init__()
        self.config = config
        self.backbone = backbone or make_backbone(config.video)
        self.spatial_former = TokenCompressor(config.spatial_former, config.video.backbone.width, temporal=False)
        self.motion_former = TokenCompressor(config.motion_former, config.video.backbone.width, temporal=True)
        video = config.video
        self.high, self.low = (
            LatentRing(self.backbone, window, video.encoding, keep=max(kept, 2 * window.frames))
            for window, kept in zip((video.high, video.low), _KEPT_LATENTS, strict=True)
        )

    @torch.inference_mode()
    def encode(self, ring: LatentRing, number: int, picture: NDArray[np.uint8]) -> None:
        """Put a frame's latent into `high` or `low`, unless it is there."""
        if number in ring:
            return
        tensor = images.to_tensor(picture, self.device)
        resized = images.resize(tensor, ring.window.height_px, ring.window.width_px, self.config.resize)
        ring.encode(number, resized.to(self.dtype))

    @torch.inference_mode()
    def encode_video(self, high: list[int], low: list[int], instruction: InstructionEmbedding) -> EncodedVideo:
        """Condition tokens of the two windows, given by the numbers of encoded frames, oldest first."""
        latents = self.high.window_latents(high), self.low.window_latents(low)
        before = self.config.filters.place == "latents"
        if before:
            latents = self.filter_latents(*latents)
        text = VideoText(
            instruction.video.states.to(self.device, self.dtype), instruction.video.pooled.to(self.device, self.dtype)
        )
        features = [self.backbone.features(part, text) for part in latents]
        filtered = features if before else self.filter(*features)
        spatial, motion = self._formed(*filtered)
        boundaries, movement = (_as_features(part) for part in latents) if before else filtered
        return EncodedVideo(spatial[0], motion[0], _strength(boundaries[0, -1:]), _strength(movement[0]))

    def filter(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Boundaries of the high window and motion of the low one, both (B, T, h, w, C)."""
        chosen = self.config.filters
        return filters.spatial(high, chosen), filters.motion(low, chosen, self.config.video.low.span_s)

    def filter_latents(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The same on latents (B, c, T, h, w), before they go into the video model."""
        high, low = self.filter(_as_features(high), _as_features(low))
        return _as_latents(high), _as_latents(low)

    def compressed(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Spatial and motion tokens (B, K, D) of the two windows' features (B, T, h, w, C), filtered on the way."""
        if self.config.filters.place == "features":
            high, low = self.filter(high, low)
        return self._formed(high, low)

    def _formed(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.spatial_former(high), self.motion_former(low)

    def warm_up(self) -> None:
        """Run everything once, so that the first condition is not the slowest; leaves no trace in the rings."""
        for ring in (self.high, self.low):
            blank = np.zeros((ring.window.height_px, ring.window.width_px, 3), np.uint8)
            for number in range(ring.window.frames):
                self.encode(ring, number, blank)
        high, low = (list(range(ring.window.frames)) for ring in (self.high, self.low))
        video = self.config.video.backbone
        text = VideoText(torch.zeros(1, 1, video.text_dim), torch.zeros(1, video.pooled_dim))
        self.encode_video(high, low, InstructionEmbedding(torch.zeros(1, 1, self.config.text.width), text))
        self.clear()

    def clear(self) -> None:
        """Forget all frames: their numbers begin anew."""
        self.high.clear()
        self.low.clear()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What the networks compute in."""
        return next(self.spatial_former.parameters()).dtype


def make_backbone(video: Video) -> Backbone:
    """The video model that the configuration names."""
    if video.backbone.kind == "wan":
        from models.backbones.wan import WanBackbone

        return WanBackbone(video.backbone)
    from models.backbones.hunyuan import HunyuanBackbone

    return HunyuanBackbone(video.backbone)


def _strength(filtered: torch.Tensor) -> torch.Tensor:
    """(T, h, w, C) -> (h, w): mean magnitude over time and channels."""
    return filtered.float().abs().mean(dim=(0, 3))


def _as_features(latents: torch.Tensor) -> torch.Tensor:
    return latents.permute(0, 2, 3, 4, 1)  # (1, c, T, h, w) -> (1, T, h, w, c)


def _as_latents(features: torch.Tensor) -> torch.Tensor:
    return features.permute(0, 4, 1, 2, 3)
