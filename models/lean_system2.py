"""System 2's networks in torch for live runs: the numbers of models/system2.py but for rounding, in a third of the operations;
on a GPU they are captured as CUDA graphs. It cannot be trained or stored.

Made by runtime/policy/networks.py and the bench. Legend: T frames, h w feature grid, C feature channels, K tokens, D width.
"""

import torch
from torch import nn

from models.backbones.backbone import VideoText
from models.backbones.lean import Reading
from models.backbones.lean_of import lean_of
from models.capture import Call, Graphs
from models.condition_maker import ConditionMaker
from models.lean_conditions import LeanConditions
from models.system2 import SlowSystem


class LeanSystem(LeanConditions, nn.Module):
    """System 2 of Video2Act, section 3.2."""

    def __init__(self, slow: SlowSystem) -> None:
        """`slow` gives its weights away, on whatever device they are; it computes nothing any more."""
        nn.Module.__init__(self)
        ConditionMaker.__init__(self, slow.config)
        self._weights = slow.weights
        self.backbone = lean_of(slow.backbone, slow.config.video.backbone)
        self.spatial_former, self.motion_former = slow.spatial_former, slow.motion_former
        self.videos = slow.backbone if slow.config.video.encoding == "causal" else None
        self._graphs: Graphs | None = None
        self.eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        return next(self.spatial_former.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """As SlowSystem.dtype."""
        return next(self.spatial_former.parameters()).dtype

    @property
    def weights(self) -> int:
        return self._weights

    def latents(self, pictures: torch.Tensor) -> torch.Tensor:
        if pictures.shape[2] == 1:
            return self._called("VAE of a frame", self._frame, pictures)[0]
        assert self.videos is not None, "windows are encoded as videos only where the configuration says so"
        return self.videos.encode(pictures)

    def read(self, text: VideoText) -> Reading:
        return self.backbone.read(text)

    def features_of(self, latents: torch.Tensor, reading: Reading) -> torch.Tensor:
        return self._called("video model", self._features, latents, reading.words, reading.modulation)[0]

    def formed(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        spatial, motion = self._called("Q-formers", self._formed, high, low)
        return spatial, motion

    def launch(self, together: bool) -> None:
        """How a GPU gets the kernels of each call from now on: together, as a CUDA graph, or one by one; the same numbers.

        Captured weights must stay where they are.
        """
        self._graphs = Graphs() if together else None

    def move(self, device: torch.device, modulation_on_host: bool) -> None:
        """Bring the weights to a device.

        Args:
            device: where the networks are to compute.
            modulation_on_host: leave those that only a new instruction needs in the CPU's memory; it then takes longer.
        """
        goes = {id(weight) for weight in self.device_weights(modulation_on_host)}
        for weight in self.parameters():
            if id(weight) in goes:
                weight.data = weight.data.to(device)
            elif device.type == "cuda":  # pinned memory is copied several times as fast
                weight.data = weight.data.cpu().pin_memory()
        for module in self.modules():
            for name, buffer in module.named_buffers(recurse=False):
                setattr(module, name, buffer.to(device))

    def device_weights(self, modulation_on_host: bool) -> list[nn.Parameter]:
        """The weights that must be on the device: all, or those that more than a new instruction needs."""
        read = {id(weight) for layer in self.backbone.only_read() for weight in layer.parameters()}
        return [weight for weight in self.parameters() if not modulation_on_host or id(weight) not in read]

    def _called(self, name: str, call: Call, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return call(*inputs) if self._graphs is None else self._graphs(name, call, *inputs)

    def _frame(self, picture: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.backbone.encode(picture),)

    def _features(self, latents: torch.Tensor, words: torch.Tensor, modulation: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.backbone.features(latents, words, modulation),)

    def _formed(self, high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.spatial_former(high), self.motion_former(low)
