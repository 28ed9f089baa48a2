"""System 2's networks in torch: the video model and two Q-formers. Trained in both stages; what the runtime uses of it is its
base (models/condition_maker.py).

Called by models/checkpoint.py, training and models/graphs. Legend: T frames, h w feature grid, C feature channels, K tokens,
D their width.
"""

import torch
from torch import nn

from models.backbones.backbone import Backbone, VideoText
from models.condition_maker import ConditionMaker
from models.config.policy import PolicyConfig
from models.config.video import Video
from models.qformer import TokenCompressor


class SlowSystem(ConditionMaker, nn.Module):
    """System 2 of Video2Act, section 3.2, on any device that torch knows."""

    def __init__(self, config: PolicyConfig, backbone: Backbone | None = None) -> None:
        """`backbone` is one whose weights are loaded already; without it one is made with random weights."""
        nn.Module.__init__(self)
        ConditionMaker.__init__(self, config)
        self.backbone = backbone or make_backbone(config.video)
        self.spatial_former = TokenCompressor(config.spatial_former, config.video.backbone.width, temporal=False)
        self.motion_former = TokenCompressor(config.motion_former, config.video.backbone.width, temporal=True)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the Q-formers' weights; the video model's may be stored in float8."""
        return next(self.spatial_former.parameters()).dtype

    @property
    def weights(self) -> int:
        return sum(weight.numel() for weight in self.parameters())

    def latents(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.backbone.encode(pictures)

    def features(self, latents: torch.Tensor, text: VideoText) -> torch.Tensor:
        return self.backbone.features(latents, text)

    def formed(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.spatial_former(high), self.motion_former(low)

    def compressed(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Spatial and motion tokens (B, K, D) of both windows' features (B, T, h, w, C)."""
        return self.formed(*self.filtered(high, low))

    def filtered(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both windows' features (B, T, h, w, C) as the Q-formers read them: filtered here, unless their latents were."""
        return (high, low) if self.config.filters.place == "latents" else self.filter(high, low)


def make_backbone(video: Video) -> Backbone:
    """A new video model with random weights, as the configuration says; imports only its own part of diffusers."""
    if video.backbone.kind == "wan":
        from models.backbones.wan import WanBackbone

        return WanBackbone(video.backbone)
    from models.backbones.hunyuan import HunyuanBackbone

    return HunyuanBackbone(video.backbone)
