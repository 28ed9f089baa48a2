"""System 2 computed by ONNX Runtime: a graph for a frame of each size, one for the features of each window, one for the
Q-formers. The filters stay torch's: they take 2 ms, and ONNX has no Fourier transform of this kind.

Made by runtime/policy/networks.py where a policy runs on a CPU. Torch's networks, and diffusers with them, are loaded only to
write a graph.
"""

from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import nn

from models.backbones.backbone import Backbone, VideoText
from models.checkpoint import Checkpoint
from models.condition_maker import ConditionMaker
from models.graphs.folder import GraphFolder, Network
from models.graphs.on_graphs import OnGraphs

if TYPE_CHECKING:
    from models.system2 import SlowSystem


class SlowGraphs(OnGraphs, ConditionMaker):
    """System 2 of Video2Act, section 3.2, in float32 on the CPU."""

    part = "slow."

    def __init__(self, checkpoint: Checkpoint, graphs: GraphFolder) -> None:
        OnGraphs.__init__(self, checkpoint, graphs)
        ConditionMaker.__init__(self, checkpoint.config)

    def latents(self, pictures: torch.Tensor) -> torch.Tensor:
        name = f"system2_latents_{size_of(pictures)}"
        return self._graphs.graph(name, lambda: self._encoder(pictures))({"pictures": pictures})[0]

    def features(self, latents: torch.Tensor, text: VideoText) -> torch.Tensor:
        inputs = {"latents": latents, "states": text.states, "pooled": text.pooled}
        name = f"system2_features_{size_of(latents)}"
        return self._graphs.graph(name, lambda: self._features(inputs))(inputs)[0]

    def formed(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = {"high": high.contiguous(), "low": low.contiguous()}
        spatial, motion = self._graphs.graph("system2_tokens", lambda: self._formers(inputs))(inputs)
        return spatial, motion

    @cached_property
    def _torch(self) -> "SlowSystem":
        return self._checkpoint.slow()

    def _encoder(self, pictures: torch.Tensor) -> Network:
        return _Encoder(self._torch.backbone), {"pictures": pictures}, {}

    def _features(self, inputs: dict[str, torch.Tensor]) -> Network:
        return _Features(self._torch.backbone), inputs, {"states": {1: "words"}}

    def _formers(self, inputs: dict[str, torch.Tensor]) -> Network:
        return _Formers(self._torch.spatial_former, self._torch.motion_former), inputs, {}


class _Encoder(nn.Module):
    """A video model's VAE as a network."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Backbone.encode."""
        return self.backbone.encode(pictures)


class _Features(nn.Module):
    """A video model's features as a network."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, latents: torch.Tensor, states: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
        """Backbone.features."""
        return self.backbone.features(latents, VideoText(states, pooled))


class _Formers(nn.Module):
    """Both Q-formers as one network."""

    def __init__(self, spatial: nn.Module, motion: nn.Module) -> None:
        super().__init__()
        self.spatial, self.motion = spatial, motion

    def forward(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """SlowSystem.formed."""
        return self.spatial(high), self.motion(low)


def size_of(tensor: torch.Tensor) -> str:
    """Frames, height and width of (1, c, T, h, w), for a graph's name."""
    return "x".join(str(size) for size in tensor.shape[2:])
