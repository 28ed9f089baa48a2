"""System 1's small image encoder, keypoints that are learnt from scratch on little data. Made by models/system1.py.

Legend: B pictures, S their height and width in px, P keypoints, N tokens, D width.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from models.config.encoders import Keypoints
from models.config.part import NORM_GROUPS
from models.encoders.image import ImageEncoder
from models.residual_block import ResidualBlock

_SHARPNESS = 8.0
"""Factor on heat maps. Chosen: fresh keypoints of a rendered scene lie within 5 % of half a picture from its middle; at 1 it is
0.7 %, and they part slowly."""


class KeypointEncoder(ImageEncoder):
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
        return self._each(lambda camera, own: camera(own), pictures)

    def feature_maps(self, pictures: torch.Tensor) -> torch.Tensor:
        """What both convolutions make of sets of pictures: keypoints and patches are read from it.

        Args:
            pictures: (sets * cameras, 3, S, S), as `forward` takes them.

        Returns:
            (sets * cameras, S / 4, S / 4, C).
        """
        return self._each(lambda camera, own: camera.maps(own), pictures).permute(0, 2, 3, 1)

    def tokens_of(self, maps: torch.Tensor) -> torch.Tensor:
        """The tokens of such maps.

        Args:
            maps: (sets * cameras, S / 4, S / 4, C) of `feature_maps`.

        Returns:
            (sets * cameras, N, D) as `forward` gives them.
        """
        return self._each(lambda camera, own: camera.tokens(own), maps.permute(0, 3, 1, 2))

    def _each(self, call: Callable[..., torch.Tensor], sets: torch.Tensor) -> torch.Tensor:
        """What each camera makes of its own, (sets * cameras, ...), in the same order."""
        made = [call(camera, sets[index :: len(self.cameras)]) for index, camera in enumerate(self.cameras)]
        return torch.stack(made, dim=1).flatten(0, 1)


class KeypointCamera(nn.Module):
    """Convolutions, then a spatial softmax (Levine et al. 2016): P keypoints, and beside them averages of patches.

    With Keypoints.blocks each place also hears what is around it.
    """

    def __init__(self, config: Keypoints) -> None:
        super().__init__()
        first, second = config.channels
        self.stem = nn.Conv2d(3, first, 8, stride=4, padding=2)
        self.body = nn.Conv2d(first, second, 3, padding=1)
        self.around = Surroundings(second, config.blocks) if config.blocks else None
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
        return self.tokens(self.maps(pictures))

    def maps(self, pictures: torch.Tensor) -> torch.Tensor:
        """What the convolutions make of one camera's pictures.

        Args:
            pictures: (B, 3, S, S) RGB in -1..1.

        Returns:
            (B, C, S / 4, S / 4).
        """
        maps = self.body(functional.silu(self.stem(pictures)))
        return functional.silu(maps if self.around is None else self.around(maps))

    def tokens(self, maps: torch.Tensor) -> torch.Tensor:
        """The tokens of these maps.

        Args:
            maps: (B, C, S / 4, S / 4) of `maps`.

        Returns:
            (B, 1 + grid^2, D) as `forward` gives them.
        """
        points = self.keypoint(spatial_softmax(_SHARPNESS * self.heat(maps)).to(maps.dtype))
        patches = functional.adaptive_avg_pool2d(maps, self.grid).flatten(2).transpose(1, 2)
        return torch.cat([points.unsqueeze(1), self.patch(patches)], dim=1)


class Surroundings(nn.Module):
    """Adds to each place of a map what is around it: residual blocks (He et al. 2016) at half the resolution.

    In drawn worlds such eyes place things better, in part because of the norm (models/shipped/README.md).
    """

    def __init__(self, channels: int, blocks: int) -> None:
        """`channels` of the maps, C; how many `blocks`, at least 1."""
        super().__init__()
        self.down = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.norm = nn.GroupNorm(NORM_GROUPS, channels)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Both together, normalised.

        Args:
            maps: (B, C, h, w), h and w even.

        Returns:
            (B, C, h, w).
        """
        wide = self.blocks(self.down(functional.silu(maps)))
        return self.norm(maps + functional.interpolate(wide, scale_factor=2, mode="nearest"))


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
