"""What both systems tell of whatever computes their networks: base of chunk_predictor.py and condition_maker.py."""

from abc import ABC, abstractmethod

import torch


class Computed(ABC):
    """Networks somewhere: in torch on any device, or as graphs on the CPU (models/graphs)."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """The device of the networks; pictures are brought there."""
        ...

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """What pictures, states and texts are brought to."""
        ...

    @property
    @abstractmethod
    def weights(self) -> int:
        """How many numbers the networks have learnt."""
        ...
