"""System 1's eyes: a published SigLIP (Video2Act, section 3.2.1), or a small keypoint network that learns from scratch.

Made and called by models/fast.py. Legend: B pictures, S their height and width in px, P keypoints, N tokens, D width.
"""

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

_SHARPNESS = 8.0
"""Factor on heat maps. Chosen: fresh keypoints of a rendered scene lie within 5 % of half a picture from its middle; at 1 it is
0.7 %, and they part slowly."""


class Eyes(nn.Module):
    """Base of the image encoders: pictures (B, 3, S, S) in -1..1 -> tokens (B, N, D)."""

    def load(self, folder: Path, dtype: torch.dtype) -> None:
        """Take published weights; most encoders have none.

        Args:
            folder: where they lie, in the layout of the hub.
            dtype: what the weights are brought to.

        Raises:
            ModelError: always here; in a subclass, when the folder holds another model, or not all of it.
        """
        raise ModelError(
            f"published.image: {folder} cannot be loaded into a {type(self).__name__}; use image.kind siglip"
        )


class SiglipEncoder(Eyes):
    """A SigLIP vision model: the tokens of its last layer, one for each patch, N = (S / patch)^2; no pooling head."""

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
        theirs = published.read_json(folder / "config.json")
        defaults = SiglipVisionConfig(**theirs.get("vision_config", theirs)).to_dict()  # the file omits defaults
        published.agree(folder / "config.json", defaults, self._arguments)
        config = SiglipVisionConfig(**self._arguments, vision_use_head=False)
        self.model = published.transformers_model(SiglipVisionModel, folder, dtype, config=config)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Tokens of every picture by itself.

        Args:
            pictures: (B, 3, S, S) RGB in -1..1, in the weights' dtype.

        Returns:
            (B, N, D), after the model's last LayerNorm.
        """
        return self.model(pixel_values=pictures).last_hidden_state


class KeypointEncoder(Eyes):
    """A KeypointCamera with weights of its own for every camera."""

    def __init__(self, config: Keypoints, cameras: int) -> None:
        super().__init__()
        self.cameras = nn.ModuleList(KeypointCamera(config) for _ in range(cameras))
        # A tenth off the time of a training step on a CPU. (torch's signature of `to` lacks this.)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Tokens of sets of pictures.

        Args:
            pictures: (sets * cameras, 3, S, S) RGB in -1..1, set after set, in each the cameras in order.

        Returns:
            (sets * cameras, N, D) in the same order.
        """
        seen = [camera(pictures[index :: len(self.cameras)]) for index, camera in enumerate(self.cameras)]
        return torch.stack(seen, dim=1).flatten(0, 1)


class KeypointCamera(nn.Module):
    """Convolutions, then a spatial softmax (Levine et al. 2016): P keypoints, and beside them averages of patches."""

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
        """Tokens of one camera's pictures.

        Args:
            pictures: (B, 3, S, S) RGB in -1..1.

        Returns:
            (B, 1 + grid^2, D): one token of all keypoints' coordinates, then one for each patch, row by row.
        """
        maps = functional.silu(self.body(functional.silu(self.stem(pictures))))
        points = self.keypoint(spatial_softmax(_SHARPNESS * self.heat(maps)).to(maps.dtype))
        patches = functional.adaptive_avg_pool2d(maps, self.grid).flatten(2).transpose(1, 2)
        return torch.cat([points.unsqueeze(1), self.patch(patches)], dim=1)


def spatial_softmax(heat: torch.Tensor) -> torch.Tensor:
    """Where each map is hot: the mean of its places, weighted by the softmax of its values.

    Args:
        heat: (B, P, h, w), any float dtype; the softmax is taken in float32.

    Returns:
        (B, 2 P) float32 in -1..1 from edge to edge, all x (right) and then all y (down).
    """
    weights = heat.flatten(2).float().softmax(-1).unflatten(-1, heat.shape[-2:])
    y = torch.linspace(-1, 1, heat.shape[-2], device=heat.device)
    x = torch.linspace(-1, 1, heat.shape[-1], device=heat.device)
    return torch.cat([(weights.sum(-2) * x).sum(-1), (weights.sum(-1) * y).sum(-1)], dim=-1)


def image_encoder(config: Siglip | Keypoints, cameras: int) -> Eyes:
    """A new encoder with random weights.

    Args:
        config: which kind, and its sizes.
        cameras: how many a set has; SigLIP is the same for all of them.

    Returns:
        SiglipEncoder or KeypointEncoder.
    """
    return SiglipEncoder(config) if config.kind == "siglip" else KeypointEncoder(config, cameras)
