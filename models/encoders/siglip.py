"""A published SigLIP as System 1's image encoder (Video2Act, section 3.2.1). Made by models/system1.py if a policy names it.

Legend: B pictures, S their height and width in px, N tokens, D width.
"""

from pathlib import Path
from typing import Any

import torch
from transformers.models.siglip.configuration_siglip import SiglipVisionConfig
from transformers.models.siglip.modeling_siglip import SiglipVisionModel

from models import published
from models.config.encoders import Siglip
from models.encoders.image import ImageEncoder


class SiglipEncoder(ImageEncoder):
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
        """Take the vision model of a published SigLIP.

        Args:
            folder: where it lies, in the layout of the hub.
            dtype: what the weights are brought to.

        Raises:
            ModelError: the folder holds another model, or not all of it.
        """
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

    def feature_maps(self, pictures: torch.Tensor) -> torch.Tensor:
        """The tokens in their places of the picture.

        Args:
            pictures: (B, 3, S, S), as `forward` takes them.

        Returns:
            (B, S / patch, S / patch, D).
        """
        side = self._arguments["image_size"] // self._arguments["patch_size"]
        return self(pictures).unflatten(1, (side, side))

    def tokens_of(self, maps: torch.Tensor) -> torch.Tensor:
        """The tokens in a row again.

        Args:
            maps: (B, S / patch, S / patch, D) of `feature_maps`.

        Returns:
            (B, N, D), row by row.
        """
        return maps.flatten(1, 2)
