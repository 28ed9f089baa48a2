"""System 1's eyes. Legend: B pictures, N tokens, D width."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers.models.siglip.configuration_siglip import SiglipVisionConfig
from transformers.models.siglip.modeling_siglip import SiglipVisionModel

from models import published
from models.config import Keypoints, Siglip
from models.errors import ModelError

_SHARPNESS = 8.0  # of fresh keypoints: at 1 they would all begin in the middle of the picture, and leave it slowly


class Eyes(nn.Module):
    """Base of the image encoders."""

    def load(self, folder: Path, dtype: torch.dtype) -> None:
        """Take published weights. Raises ModelError: most encoders are not published."""
        raise ModelError(f"published.image: {type(self).__name__} cannot load {folder}; set image.kind siglip")


class SiglipEncoder(Eyes):
    """A SigLIP vision model: (B, 3, S, S) in -1..1 -> (B, N, D) tokens of its last layer."""

    def __init__(self, config: Siglip) -> None:
        super().__init__()
        self._arguments: dict[str, Any] = {
            "hidden_size": config.width,
            "intermediate_size": config.feed_forward,
            "num_hidden_layers": config.depth,
            "num_attention_heads": config.heads,
            "image_size": config.image_px,
            "patch_size": config.patch_px,
        }
        self.model = SiglipVisionModel(SiglipVisionConfig(**self._arguments, vision_use_head=False))

    def load(self, folder: Path, dtype: torch.dtype) -> None:
        """Take a published SigLIP's vision model. Raises ModelError when the folder holds another one, or not all of it."""
        theirs = published.read_json(folder / "config.json")
        defaults = SiglipVisionConfig(**theirs.get("vision_config", theirs)).to_dict()  # the file omits defaults
        published.agree(folder / "config.json", defaults, self._arguments)
        config = SiglipVisionConfig(**self._arguments, vision_use_head=False)
        self.model = published.transformers_model(SiglipVisionModel, folder, dtype, config=config)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Encode one set of pictures."""
        return self.model(pixel_values=pictures).last_hidden_state


class KeypointEncoder(Eyes):
    """A KeypointCamera for every camera: sets of pictures (B * cameras, 3, S, S) -> (B * cameras, N, D)."""

    def __init__(self, config: Keypoints, cameras: int) -> None:
        super().__init__()
        self.cameras = nn.ModuleList(KeypointCamera(config) for _ in range(cameras))
        # A tenth less time of a training step on a CPU. (torch's signature of `to` lacks this.)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Encode sets of pictures, in each the cameras in order."""
        seen = [camera(pictures[index :: len(self.cameras)]) for index, camera in enumerate(self.cameras)]
        return torch.stack(seen, dim=1).flatten(0, 1)


class KeypointCamera(nn.Module):
    """(B, 3, S, S) -> one token of all keypoints' coordinates, then the averages of patches (Levine et al. 2016)."""

    def __init__(self, config: Keypoints) -> None:
        super().__init__()
        first, second = config.channels
        self.stem = nn.Conv2d(3, first, 8, stride=4, padding=2)
        self.body = nn.Conv2d(first, second, 3, padding=1)
        self.heat = nn.Conv2d(second, config.points, 1)
        self.keypoint = nn.Linear(2 * config.points, config.width)
        self.patch = nn.Linear(second, config.width)
        self.grid = config.grid

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Tokens of one camera's pictures."""
        maps = functional.silu(self.body(functional.silu(self.stem(pictures))))
        points = self.keypoint(spatial_softmax(_SHARPNESS * self.heat(maps)).to(maps.dtype))
        patches = functional.adaptive_avg_pool2d(maps, self.grid).flatten(2).transpose(1, 2)
        return torch.cat([points.unsqueeze(1), self.patch(patches)], dim=1)


def spatial_softmax(heat: torch.Tensor) -> torch.Tensor:
    """Where each map (B, P, h, w) is hot: (B, 2 P) in -1..1, all x and then all y."""
    weights = heat.flatten(2).float().softmax(-1).unflatten(-1, heat.shape[-2:])
    y = torch.linspace(-1, 1, heat.shape[-2], device=heat.device)
    x = torch.linspace(-1, 1, heat.shape[-1], device=heat.device)
    return torch.cat([(weights.sum(-2) * x).sum(-1), (weights.sum(-1) * y).sum(-1)], dim=-1)


def image_encoder(config: Siglip | Keypoints, cameras: int) -> Eyes:
    """The encoder that the configuration names."""
    return SiglipEncoder(config) if config.kind == "siglip" else KeypointEncoder(config, cameras)
