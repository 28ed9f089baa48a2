"""System 1 as the runtime uses it: pictures, joints, instruction and conditions in, a chunk of joint targets out.

Base of FastSystem (models/system1.py, torch) and of FastGraphs (models/graphs/system1.py, ONNX Runtime), which compute its
networks. Legend: S px of a resized picture, N tokens of one, D width, H targets, J joints, U numbers of an action vector.
"""

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from models import images
from models.action_vector import joints_of, vector_of
from models.backbones.backbone import VideoText
from models.computed import Computed
from models.config.policy import PolicyConfig
from models.normalize import Statistics
from models.placement import sent
from models.policy import ConditionTokens, InstructionEmbedding, Pictures

_KEPT_SETS = 8
"""Sets of pictures whose tokens are kept. Chosen: a chunk reads two, the older of which an earlier chunk may have made."""


@dataclass(frozen=True)
class ChunkInputs:
    """What a chunk is denoised from; all on the networks' device, in their dtype unless another is named."""

    language: torch.Tensor
    """(1, L, text width) states of the instruction."""
    images: torch.Tensor
    """(1, 2 * cameras * N, D) tokens of two sets of pictures, the set before first."""
    conditions: torch.Tensor | None
    """(1, K, former's width) System 2's tokens, spatial then motion; None: the chunk is made without."""
    age_s: torch.Tensor
    """(1,) float32, of the newest frame that the conditions saw."""
    state: torch.Tensor
    """(1, J) normalised joints now."""
    noise: torch.Tensor
    """(1, H, U) float32 standard normal."""
    prefix: torch.Tensor
    """(1, H, U) float32, the committed targets, normalised, in their places; zeros elsewhere."""
    committed: torch.Tensor
    """(1, H) bool, which targets are committed."""

    @classmethod
    def blank(cls, config: PolicyConfig, language: torch.Tensor) -> Self:
        """Zeros of all the shapes that a policy's chunks are denoised from, where and in which dtype `language` is."""
        former, head = config.spatial_former, config.head
        tokens = former.tokens + config.motion_former.tokens
        chunk = torch.zeros(1, config.horizon, head.action_width, device=language.device)
        return cls(
            language=language,
            images=language.new_zeros(1, 2 * len(config.cameras) * config.image.tokens, config.image.width),
            conditions=language.new_zeros(1, tokens, former.width) if config.hears_video else None,
            age_s=torch.zeros(1, device=language.device),
            state=language.new_zeros(1, config.joints),
            noise=chunk,
            prefix=chunk,
            committed=torch.zeros(1, config.horizon, dtype=torch.bool, device=language.device),
        )


class ChunkPredictor(Computed):
    """System 1 of Video2Act, section 3.3. Between calls it keeps the last sets' tokens, and what it made of the instruction."""

    warm_up_words: tuple[int, ...] = (8,)
    """How long the instructions are with which it is warmed up; chosen: those of the six tasks have about so many tokens."""

    def __init__(self, config: PolicyConfig, statistics: Statistics) -> None:
        self.config, self.statistics = config, statistics
        self._sets: OrderedDict[tuple[int, ...], torch.Tensor] = OrderedDict()
        self._instruction: tuple[InstructionEmbedding, torch.Tensor] | None = None

    @abstractmethod
    def encoded(self, prepared: torch.Tensor) -> torch.Tensor:
        """Tokens (cameras * N, D) of a set of pictures (cameras, 3, S, S) of `prepare`."""
        ...

    def instructed(self, language: torch.Tensor) -> None:
        """Make what all chunks of an instruction share, (1, L, text width) on the networks' device. Here nothing: a graph of
        ONNX makes it in each chunk.
        """

    @abstractmethod
    def denoised(self, given: ChunkInputs) -> torch.Tensor:
        """The chunk (1, H, U), float32, normalised."""
        ...

    @torch.inference_mode()
    def prepare(self, pictures: Pictures) -> torch.Tensor:
        """One set's pictures as the image encoder takes them: resized, in -1..1, unseen cameras black.

        Args:
            pictures: one (H, W, 3) uint8 RGB a camera, in the policy's order; any size.

        Returns:
            (cameras, 3, S, S) on the networks' device, in their dtype.
        """
        size, how = self.config.image.image_px, self.config.eyes_resize
        alike = len({picture.shape for picture in pictures}) == 1
        groups = [pictures] if alike else [(picture,) for picture in pictures]
        resized = torch.cat([images.resize(images.to_tensors(group, self.device), size, size, how) for group in groups])
        for index in self.config.unseen:
            resized[index] = -1.0  # black
        return resized.contiguous().to(self.dtype)

    def has(self, key: tuple[int, ...]) -> bool:
        """Whether `encode_images` still keeps the tokens of that very set; then its pictures need not be prepared."""
        return key in self._sets

    @torch.inference_mode()
    def encode_images(self, key: tuple[int, ...], prepared: torch.Tensor) -> torch.Tensor:
        """Tokens of a set of pictures, made once. Always one set at a time: grouping pictures differently changes bits.

        Args:
            key: what tells the set from all others since `clear`: its frame numbers.
            prepared: (cameras, 3, S, S) of `prepare`; not looked at when the set is kept.

        Returns:
            (cameras * N, D).
        """
        if key not in self._sets:
            self._sets[key] = self.encoded(prepared)
            while len(self._sets) > _KEPT_SETS:
                self._sets.popitem(last=False)
        return self._sets[key]

    @torch.inference_mode()
    def instruct(self, instruction: InstructionEmbedding) -> None:
        """Make what all chunks of an instruction share, unless it is the last one again. Changes no chunk.

        Called when an instruction comes: on a GPU it may take a second, in which kernels are captured.
        """
        if self._instruction is None or self._instruction[0] is not instruction:
            language = sent(instruction.language, self.device).to(self.dtype)
            self.instructed(language)
            self._instruction = instruction, language

    def clear(self) -> None:
        """Forget all sets, at a new episode: its frame numbers may be those of other pictures."""
        self._sets.clear()

    def warm_up(self) -> NDArray[np.float32]:
        """Make chunks of black pictures, so that the first real one is not the slowest; leaves no trace.

        Returns:
            The last of them, (H, J); rad, gripper m.
        """
        chunk = np.zeros((0, self.config.joints), np.float32)
        config, size = self.config, self.config.image.image_px
        blank = self.prepare((np.zeros((size, size, 3), np.uint8),) * len(config.cameras))
        formers = (config.spatial_former, config.motion_former)
        tokens = ConditionTokens(*(torch.zeros(former.tokens, former.width) for former in formers))
        text = VideoText(torch.zeros(1, 1, 1), torch.zeros(1, 1))
        for words in self.warm_up_words:
            sets = [self.encode_images((count, words), blank) for count in range(2)]
            instruction = InstructionEmbedding(torch.zeros(1, words, config.text.width), text)
            nothing = np.zeros((0, config.joints))
            chunk = self.predict_chunk(sets, np.zeros(config.joints), instruction, tokens, 0.0, nothing, 0)
        self._sets.clear()
        return chunk

    @torch.inference_mode()
    def predict_chunk(
        self,
        sets: Sequence[torch.Tensor],
        q: NDArray[np.float64],
        instruction: InstructionEmbedding,
        conditions: ConditionTokens | None,
        age_s: float,
        prefix: NDArray[np.floating],
        noise_seed: int,
    ) -> NDArray[np.float32]:
        """A chunk of joint targets; the same arguments give the same bytes.

        Args:
            sets: tokens (cameras * N, D) of the set before, then of the newest one.
            q: (J,) the joints now, rad, gripper m.
            instruction: language (1, L, text width).
            conditions: System 2's tokens, (K, D) each; None: the chunk is made without.
            age_s: of the newest frame that the conditions saw, s.
            prefix: (n, J) targets that are committed already, rad and m; n from 0 to H.
            noise_seed: draws the noise that denoising begins with.

        Returns:
            (H, J) float32, rad, gripper m, within the checkpoint's ranges; the first n are the prefix, unchanged.
        """
        device, dtype = self.device, self.dtype
        both = None
        if conditions is not None and self.config.hears_video:
            both = sent(torch.cat([conditions.spatial, conditions.motion])[None], device).to(dtype)
        self.instruct(instruction)
        assert self._instruction is not None
        given = self.chunk_inputs(
            self._instruction[1], torch.cat(tuple(sets))[None], both, q, age_s, prefix, noise_seed
        )
        targets = self.statistics.denormalize(joints_of(self.config.head, self.denoised(given).cpu())[0], q)
        targets[: len(prefix)] = prefix
        return targets

    def chunk_inputs(
        self,
        language: torch.Tensor,
        images: torch.Tensor,
        conditions: torch.Tensor | None,
        q: NDArray[np.float64],
        age_s: float,
        prefix: NDArray[np.floating],
        noise_seed: int,
    ) -> ChunkInputs:
        """What a chunk is denoised from, of tensors that are where the networks are.

        Args:
            language: (1, L, text width) states of the instruction.
            images: (1, 2 * cameras * N, D) tokens of two sets of pictures, the set before first.
            conditions: (1, K, former's width) System 2's tokens; None: the chunk is made without.
            q: (J,) the joints now, as `predict_chunk` takes them, and all that follows.
            age_s: of the newest frame that the conditions saw, s.
            prefix: (n, J) targets that are committed already.
            noise_seed: draws the noise.

        Returns:
            All of it on the networks' device.
        """
        config, device = self.config, self.device
        generator = torch.Generator().manual_seed(noise_seed)
        noise = torch.randn((1, config.horizon, config.head.action_width), generator=generator)
        known = vector_of(config.head, self.statistics.normalize(prefix, q)[None])
        return ChunkInputs(
            language=language,
            images=images,
            conditions=conditions,
            age_s=sent(torch.tensor([age_s]), device),
            state=sent(self.statistics.normalize_state(q)[None], device).to(self.dtype),
            noise=sent(noise, device),
            prefix=sent(functional.pad(known, (0, 0, 0, config.horizon - len(prefix))), device),
            committed=sent((torch.arange(config.horizon) < len(prefix))[None], device),
        )
