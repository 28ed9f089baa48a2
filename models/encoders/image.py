"""What every image encoder of System 1 is. Base of keypoints and siglip, held by models/system1.py.

Legend: B pictures, S their height and width in px, h w feature grid, C its channels, N tokens, D width.
"""

from abc import ABC, abstractmethod
from pathlib import Path

import torch
from torch import nn

from models.errors import ModelError


class ImageEncoder(nn.Module, ABC):
    """Base of the image encoders: pictures (B, 3, S, S) in -1..1 -> tokens (B, N, D)."""

    @abstractmethod
    def feature_maps(self, pictures: torch.Tensor) -> torch.Tensor:
        """The last features that still lie on a grid over the picture, which all tokens are made of.

        Args:
            pictures: (B, 3, S, S) RGB in -1..1, as `forward` takes them.

        Returns:
            (B, h, w, C).
        """
        ...

    @abstractmethod
    def tokens_of(self, maps: torch.Tensor) -> torch.Tensor:
        """What `forward` makes of the pictures of these maps.

        Args:
            maps: (B, h, w, C) of `feature_maps`.

        Returns:
            (B, N, D).
        """
        ...

    def load(self, folder: Path, dtype: torch.dtype) -> None:
        """Take published weights; most encoders have none.

        Args:
            folder: where they lie, in the layout of the hub.
            dtype: what the weights are brought to.

        Raises:
            ModelError: always here; in a subclass, when the folder holds another model, or not all of it.
        """
        raise ModelError(f"published.image: {type(self).__name__} cannot load {folder}; set image.kind siglip")
