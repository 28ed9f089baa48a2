"""System 1's networks in torch: an image encoder and the action diffusion transformer. Trained by stage 2; what the runtime
uses of it is its base (models/chunk_predictor.py).

Called by models/checkpoint.py, training and models/graphs. Legend: S px of a resized picture, N tokens of one, D width.
"""

import torch
from torch import nn

from models import diffusion
from models.action_dit import ActionTransformer
from models.chunk_predictor import ChunkInputs, ChunkPredictor
from models.config import Keypoints, PolicyConfig, Siglip
from models.encoders.image import ImageEncoder
from models.encoders.keypoints import KeypointEncoder
from models.normalize import Statistics


class FastSystem(ChunkPredictor, nn.Module):
    """System 1 of Video2Act, section 3.3, on any device that torch knows."""

    def __init__(self, config: PolicyConfig, statistics: Statistics, images: ImageEncoder | None = None) -> None:
        """`images` is an encoder whose weights are loaded already; without it one is made with random weights."""
        nn.Module.__init__(self)
        ChunkPredictor.__init__(self, config, statistics)
        self.images = images or image_encoder(config.image, len(config.cameras))
        positions = 2 * len(config.cameras) * config.image.tokens
        self.head = ActionTransformer(config, config.image.width, positions, config.spatial_former.width)
        self._compiled = False

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @property
    def weights(self) -> int:
        return sum(weight.numel() for weight in self.parameters())

    def encoded(self, prepared: torch.Tensor) -> torch.Tensor:
        return self._kept(self.images(prepared)).flatten(0, 1)

    def denoised(self, given: ChunkInputs) -> torch.Tensor:
        context = self.head.context(given.language, given.images, given.conditions, given.age_s, given.state)

        def denoise(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
            return self._kept(self.head(x.to(self.dtype), time, context, given.committed)).float()

        return diffusion.sample(self.config.head, given.noise, given.prefix, given.committed, denoise)

    def compile_networks(self) -> None:
        """torch.compile for the image encoder and the head, at their first call; on a GPU each becomes one CUDA graph."""
        weight = next(self.head.parameters())
        for network in (self.images, self.head):
            network.compile(mode="reduce-overhead" if weight.is_cuda else "default")
        self._compiled = True
        self.warm_up_words = (8, 9)  # two lengths: whatever is compiled then serves every length

    def _kept(self, output: torch.Tensor) -> torch.Tensor:
        """The output of a network, copied where it is compiled: a CUDA graph writes its next output over this one."""
        return output.clone() if self._compiled else output


def image_encoder(config: Siglip | Keypoints, cameras: int) -> ImageEncoder:
    """A new encoder with random weights.

    Args:
        config: which kind, and its sizes.
        cameras: how many a set has; SigLIP is the same for all of them.

    Returns:
        SiglipEncoder or KeypointEncoder.
    """
    if config.kind == "keypoints":
        return KeypointEncoder(config, cameras)
    from models.encoders.siglip import SiglipEncoder  # transformers' modelling code takes 8 s of a core to import

    return SiglipEncoder(config)
