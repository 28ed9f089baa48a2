"""System 1's networks in torch: an image encoder and the action diffusion transformer. Trained by stage 2; what the runtime
uses of it is its base (models/chunk_predictor.py).

Called by models/checkpoint.py, training and models/graphs. Legend: S px of a resized picture, N tokens of one, D width.
"""

import torch
from torch import nn

from models.action_dit import ActionTransformer, Words
from models.action_vector import vector_of
from models.capture import Graphs
from models.chunk_predictor import ChunkInputs, ChunkPredictor
from models.chunk_sampler import ChunkSampler
from models.config.encoders import Keypoints, Siglip
from models.config.policy import PolicyConfig
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
        if self.head.continuation is not None:
            spread = torch.from_numpy(statistics.spread).to(self.head.continuation.spread.device)
            spread = vector_of(config.head, spread)
            self.head.continuation.spread.copy_(torch.where(spread == 0, 1.0, spread))  # 0: no joint stands there
        self._sampler: ChunkSampler | None = None
        self._words: Words | None = None
        self._graphs: Graphs | None = None

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
        if self._graphs is None:
            return self.images(prepared).flatten(0, 1)
        return self._graphs("image encoder", self._seen, prepared)[0].flatten(0, 1)

    def instructed(self, language: torch.Tensor) -> None:
        """Make the instruction's keys and values; on a GPU capture what makes its chunks, so that no run has to."""
        self._sampler = self._sampler or ChunkSampler(self.head, self.device, self.dtype)
        self._words = self.head.words(language)
        if self._graphs is not None and language.is_cuda:
            self.denoised(ChunkInputs.blank(self.config, language))

    def denoised(self, given: ChunkInputs) -> torch.Tensor:
        assert self._sampler is not None and self._words is not None, "call instructed() before denoised()"
        inputs = [given.images, given.age_s, given.state, given.noise, given.prefix, given.committed]
        inputs += [] if given.conditions is None else [given.conditions]
        if self._graphs is None:
            return self._sampler(self._words, *inputs)
        return self._graphs("chunk", self._sampler.flat, *self._words.tensors, *inputs)[0]

    def fuse(self) -> None:
        """From now on self-attention's products are merged, and a GPU gets each call's kernels at once, as CUDA graphs.

        For live runs, once the weights are loaded and placed: they must not be replaced any more.
        """
        self.head.fuse()
        self._graphs, self._sampler, self._instruction = Graphs(), None, None

    def compile_networks(self) -> None:
        """torch.compile for the image encoder and a denoising step, at their first call."""
        for network in (self.images, self.head):
            network.compile(fullgraph=True)
        self.warm_up_words = (8, 9)  # two lengths: whatever is compiled then serves every length

    def _seen(self, prepared: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.images(prepared),)


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
