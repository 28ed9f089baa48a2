"""SigLIP's vision model as System 1's image encoder. Called by image_encoders for a policy that names it.

Legend: B pictures, N tokens, D width, S side in pixels.
"""

from pathlib import Path
from typing import Any

import torch
from transformers.models.siglip.configuration_siglip import SiglipVisionConfig
from transformers.models.siglip.modeling_siglip import SiglipVisionModel

from models import published
from models.config import Siglip
from models.image_encoders import Eyes


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
