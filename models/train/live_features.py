"""Stage 2 without prepared features: the frozen video model makes those of a batch while it is trained on.

Called by runtime/training/stages.py. The features of 600 demonstrations of 150 steps are half a terabyte at the paper's size,
their latents a thousandth.
"""

from collections.abc import Sequence

import torch

from models.backbones.backbone import Backbone, VideoText
from models.system1 import FastSystem
from models.system2 import SlowSystem
from models.train.action import CloningLoss
from models.train.choices import Cloning
from models.train.prepared import Tensors
from models.train.video import Wordings


class LiveFeatures(CloningLoss):
    """The head's loss on latents, of which the video model makes features here."""

    def __init__(
        self, fast: FastSystem, slow: SlowSystem, languages: Sequence[torch.Tensor], empty: torch.Tensor,
        texts: Sequence[VideoText], cloning: Cloning, backbone: Backbone, dtype: torch.dtype = torch.float32,
    ) -> None:  # fmt: skip
        """`backbone` is that of `slow`, or a copy of it, perhaps on another device; `dtype` is what it computes in."""
        super().__init__(fast, slow, languages, empty, cloning)
        self.backbone, self._dtype, self.wordings = backbone, dtype, Wordings(texts)

    def features(self, slow: SlowSystem, batch: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
        """Both windows' features, float32, of the batch's latents; with gradients only where the video model learns too."""
        text, there = self.wordings(batch["text"])
        latents = batch["high"].float(), batch["low"].float()
        if slow.config.filters.place == "latents":
            latents = slow.filter_latents(*latents)
        learns = any(weight.requires_grad for weight in self.backbone.parameters())
        with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
            read = VideoText(text.states.to(self._dtype), text.pooled.to(self._dtype))
            high, low = (self.backbone.features(part.to(self._dtype), read, there).float() for part in latents)
        return high, low
