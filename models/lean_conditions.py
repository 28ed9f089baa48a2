"""System 2 by the lean video models: what only the instruction decides is computed when it changes.

Base of LeanSystem (models/lean_system2.py, torch) and LeanGraphs (models/graphs/lean_system2.py, ONNX Runtime).
"""

from abc import abstractmethod

import torch

from models.backbones.backbone import VideoText
from models.backbones.lean import Reading
from models.condition_maker import ConditionMaker


class LeanConditions(ConditionMaker):
    """A ConditionMaker that keeps the last instruction's Reading."""

    _read: tuple[VideoText, Reading] | None = None

    @abstractmethod
    def read(self, text: VideoText) -> Reading:
        """As LeanBackbone.read."""
        ...

    @abstractmethod
    def features_of(self, latents: torch.Tensor, reading: Reading) -> torch.Tensor:
        """As LeanBackbone.features."""
        ...

    def features(self, latents: torch.Tensor, text: VideoText) -> torch.Tensor:
        if self._read is None or self._read[0] is not text:
            self._read = text, self.read(text)
        return self.features_of(latents, self._read[1])
