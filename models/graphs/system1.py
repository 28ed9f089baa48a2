"""System 1 computed by ONNX Runtime: the image encoder is one graph, all denoising steps of a chunk are another.

Made by runtime/policy/networks.py where a policy runs on a CPU. Torch's networks are made only to write a graph.
"""

from dataclasses import fields
from functools import cached_property

import torch
from torch import nn

from models.checkpoint import CPU, Checkpoint
from models.chunk_predictor import ChunkInputs, ChunkPredictor
from models.chunk_sampler import ChunkSampler
from models.graphs.folder import GraphFolder, Network
from models.graphs.on_graphs import OnGraphs
from models.system1 import FastSystem


class FastGraphs(OnGraphs, ChunkPredictor):
    """System 1 of Video2Act, section 3.3, in float32 on the CPU."""

    part = "fast."

    def __init__(self, checkpoint: Checkpoint, graphs: GraphFolder) -> None:
        OnGraphs.__init__(self, checkpoint, graphs)
        ChunkPredictor.__init__(self, checkpoint.config, checkpoint.statistics)

    def encoded(self, prepared: torch.Tensor) -> torch.Tensor:
        graph = self._graphs.graph("system1_pictures", lambda: self._encoder(prepared))
        return graph({"pictures": prepared})[0].flatten(0, 1)

    def denoised(self, given: ChunkInputs) -> torch.Tensor:
        inputs = {field.name: tensor for field in fields(given) if (tensor := getattr(given, field.name)) is not None}
        name = "system1_chunk" if given.conditions is not None else "system1_chunk_without_video"
        return self._graphs.graph(name, lambda: self._chunk(inputs))(inputs)[0]

    @cached_property
    def _torch(self) -> FastSystem:
        return self._checkpoint.fast()

    def _encoder(self, pictures: torch.Tensor) -> Network:
        return self._torch.images, {"pictures": pictures}, {}

    def _chunk(self, inputs: dict[str, torch.Tensor]) -> Network:
        return _Chunk(self._torch, tuple(inputs)), inputs, {"language": {1: "words"}}


class _Chunk(nn.Module):
    """A chunk's denoising as a network of tensors, in the order of their names."""

    def __init__(self, system: FastSystem, names: tuple[str, ...]) -> None:
        super().__init__()
        self.system, self.names = system, names

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """The chunk (1, H, U) of the fields of ChunkInputs; conditions that are not there are None."""
        named = dict(zip(self.names, tensors, strict=True))
        words = self.system.head.words(named.pop("language"))
        return ChunkSampler(self.system.head, CPU, torch.float32)(words, **named)
