"""System 2 computed by ONNX Runtime, the lean video models (models/backbones/lean.py) in place of diffusers' own.

Made by runtime/policy/networks.py, as that one; a further graph is run when the instruction changes.
"""

from functools import cached_property

import torch
from torch import nn

from models.backbones.backbone import VideoText
from models.backbones.lean import LeanBackbone, Reading
from models.backbones.lean_of import lean_of
from models.graphs.folder import Network
from models.graphs.system2 import SlowGraphs, size_of
from models.lean_conditions import LeanConditions


class LeanGraphs(LeanConditions, SlowGraphs):
    """System 2 of Video2Act, section 3.2, in float32 on the CPU."""

    def latents(self, pictures: torch.Tensor) -> torch.Tensor:
        if pictures.shape[2] > 1:
            return SlowGraphs.latents(self, pictures)
        name = f"system2_lean_latents_{size_of(pictures)}"
        return self._graphs.graph(name, lambda: self._frame(pictures))({"pictures": pictures})[0]

    def read(self, text: VideoText) -> Reading:
        inputs = {"states": text.states, "pooled": text.pooled}
        graph = self._graphs.graph(
            "system2_lean_reading", lambda: (_Read(self._lean), inputs, {"states": {1: "words"}})
        )
        return Reading(*graph(inputs))

    def features_of(self, latents: torch.Tensor, reading: Reading) -> torch.Tensor:
        inputs = {"latents": latents, "words": reading.words, "modulation": reading.modulation}
        name = f"system2_lean_features_{size_of(latents)}"
        return self._graphs.graph(name, lambda: self._blocks(inputs))(inputs)[0]

    @cached_property
    def _lean(self) -> LeanBackbone:
        """Of a system of its own: the plain one is needed whole, to write the graph of a video's latents."""
        config = self._checkpoint.config.video.backbone
        return lean_of(self._checkpoint.slow().backbone, config).eval()

    def _frame(self, pictures: torch.Tensor) -> Network:
        return _Frame(self._lean), {"pictures": pictures}, {}

    def _blocks(self, inputs: dict[str, torch.Tensor]) -> Network:
        self._lean.table(inputs["latents"])  # made before the tracing, so that it becomes a constant
        return _Features(self._lean), inputs, {"words": {inputs["words"].ndim - 2: "words"}}


class _Frame(nn.Module):
    """A lone frame's latents as a network."""

    def __init__(self, backbone: LeanBackbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """LeanBackbone.encode."""
        return self.backbone.encode(pictures)


class _Read(nn.Module):
    """The reading of an instruction as a network."""

    def __init__(self, backbone: LeanBackbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, states: torch.Tensor, pooled: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """LeanBackbone.read."""
        reading = self.backbone.read(VideoText(states, pooled))
        return reading.words, reading.modulation


class _Features(nn.Module):
    """The blocks as a network."""

    def __init__(self, backbone: LeanBackbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, latents: torch.Tensor, words: torch.Tensor, modulation: torch.Tensor) -> torch.Tensor:
        """LeanBackbone.features."""
        return self.backbone.features(latents, words, modulation)
