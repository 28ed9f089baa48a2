"""System 2 as one object: video windows in, condition tokens out. Knows nothing of processes or devices.

Called by runtime/policy/video2act.py and by training. Legend: T frames, h w feature grid, c latent and C feature channels,
K tokens, D their width.
"""

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

_KEPT_LATENTS = (8, 64)
"""Frames that the rings of the short and the long window keep at least. Chosen: four windows of each at `full`'s sizes, 2 and
16 frames; longer windows get room for two (SlowSystem)."""


class SlowSystem(nn.Module):
    """System 2: video model at the clean end of inversion, filters, two Q-formers (Video2Act, eq. (1) to (3))."""

    def __init__(self, config: PolicyConfig, backbone: Backbone | None = None) -> None:
        """`backbone` is one whose weights are loaded already; without it one is made with random weights."""
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
        """Put a frame's latent into a ring, unless it is there; resized as the policy says.

        Args:
            ring: `high` or `low`.
            number: the frame's number; a ring forgets its oldest frames.
            picture: (H, W, 3) uint8 RGB of the head camera.
        """
        if number in ring:
            return
        tensor = images.to_tensor(picture, self.device)
        resized = images.resize(tensor, ring.window.height_px, ring.window.width_px, self.config.resize)
        ring.encode(number, resized.to(self.dtype))

    @torch.inference_mode()
    def encode_video(self, high: list[int], low: list[int], instruction: InstructionEmbedding) -> EncodedVideo:
        """Condition tokens of two windows whose frames were encoded.

        Args:
            high: frame numbers of the short window, oldest first.
            low: frame numbers of the long window, oldest first.
            instruction: as the video model reads it.

        Returns:
            Tokens (K, D) of each branch, and maps (h, w) for people.

        Raises:
            ModelError: a frame is in no ring, or the motion filter keeps nothing.
        """
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
        """S and M of Video2Act, eq. (3): boundaries of the high window, motion of the low one, both (B, T, h, w, C)."""
        chosen = self.config.filters
        return filters.spatial(high, chosen), filters.motion(low, chosen, self.config.video.low.span_s)

    def filter_latents(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`filter` on latents (B, c, T, h, w), before they go into the video model, as the released code does."""
        high, low = self.filter(_as_features(high), _as_features(low))
        return _as_latents(high), _as_latents(low)

    def compressed(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Spatial and motion tokens (B, K, D) of both windows' features (B, T, h, w, C); filtered here, unless latents were."""
        if self.config.filters.place == "features":
            high, low = self.filter(high, low)
        return self._formed(high, low)

    def _formed(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.spatial_former(high), self.motion_former(low)

    def warm_up(self) -> None:
        """Run everything once on black pictures, so that the first condition is not the slowest; leaves no trace."""
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
        """Forget all frames, at a new episode: its frame numbers may be those of other pictures."""
        self.high.clear()
        self.low.clear()

    @property
    def device(self) -> torch.device:
        """The device of the weights; pictures are brought there."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the Q-formers' weights; pictures and texts are brought to it."""
        return next(self.spatial_former.parameters()).dtype


def make_backbone(video: Video) -> Backbone:
    """A new video model with random weights, as the configuration says; imports only its own part of diffusers."""
    if video.backbone.kind == "wan":
        from models.backbones.wan import WanBackbone

        return WanBackbone(video.backbone)
    from models.backbones.hunyuan import HunyuanBackbone

    return HunyuanBackbone(video.backbone)


def _strength(filtered: torch.Tensor) -> torch.Tensor:
    """Mean magnitude over time and channels: (T, h, w, C) -> (h, w) float32."""
    return filtered.float().abs().mean(dim=(0, 3))


def _as_features(latents: torch.Tensor) -> torch.Tensor:
    return latents.permute(0, 2, 3, 4, 1)  # (1, c, T, h, w) -> (1, T, h, w, c)


def _as_latents(features: torch.Tensor) -> torch.Tensor:
    return features.permute(0, 4, 1, 2, 3)
