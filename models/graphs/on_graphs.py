"""What both systems have in common where ONNX Runtime computes them. Base of models/graphs/system1.py and system2.py."""

from typing import ClassVar

import torch

from models.checkpoint import CPU, Checkpoint
from models.computed import Computed
from models.graphs.folder import GraphFolder


class OnGraphs(Computed):
    """A part of a checkpoint as graphs, in float32 on the CPU."""

    part: ClassVar[str]
    """What its tensors' names begin with in the checkpoint."""

    def __init__(self, checkpoint: Checkpoint, graphs: GraphFolder) -> None:
        self._checkpoint, self._graphs = checkpoint, graphs

    @property
    def device(self) -> torch.device:
        return CPU

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    @property
    def weights(self) -> int:
        return self._checkpoint.count(self.part)
