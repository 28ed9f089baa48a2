"""Stage 2 with the video model not frozen: it goes on learning video while head and Q-formers learn to act on its features.

Called by runtime/training/stages.py. Video Policy (Liang et al. 2025, arXiv 2508.00795) compares both ways on RoboCasa: 0.57 of
the tasks succeed jointly, 0.63 in two stages. It also costs much more time.
"""

from collections.abc import Sequence

import torch

from models.backbones.backbone import VideoText
from models.system1 import FastSystem
from models.system2 import SlowSystem
from models.train.choices import Cloning, Filming
from models.train.live_features import LiveFeatures
from models.train.prepared import Tensors
from models.train.video import flow_error


class JointLoss(LiveFeatures):
    """The head's loss on latents that go through the video model, plus `video_loss` times that model's own loss."""

    def __init__(
        self, fast: FastSystem, slow: SlowSystem, languages: Sequence[torch.Tensor], empty: torch.Tensor,
        texts: Sequence[VideoText], cloning: Cloning, filming: Filming,
    ) -> None:  # fmt: skip
        super().__init__(fast, slow, languages, empty, texts, cloning, slow.backbone)
        self._weight, self._clean_share = cloning.video_loss, filming.clean_share

    def forward(self, batch: Tensors) -> torch.Tensor:
        """The sum of both losses, a scalar; the video model's is of one window only, by chance the short or the long one."""
        seed = int(batch["seed"][0])
        clean = batch["high" if seed % 2 else "low"].float()
        random = torch.Generator(clean.device).manual_seed(seed)
        drawn = torch.rand(2, len(clean), generator=random, device=clean.device)
        time = drawn[0] * (drawn[1] >= self._clean_share)
        video = flow_error(self.backbone, self.wordings, clean, time, batch["text"], random)
        return super().forward(batch) + self._weight * video
