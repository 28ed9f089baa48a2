"""The action head of System 1: a diffusion transformer of RDT-1B's shape (Video2Act, sections 3.2.1 and 3.3).

Called by models/system1.py and by stage 2's training. Even blocks attend to the instruction, odd ones to the images with System
2's tokens appended. Keys and values of both contexts do not depend on the denoising step: made once per chunk (`Context`).
Legend: B batch, H targets in a chunk, J joints, U numbers of an action vector, L words, N image tokens, K System 2's tokens,
D width. With RDT-1B's numbers it has RDT-1B's weights (models/rdt.py reads them), and beside them only those of `added`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self, cast

import torch
from torch import nn
from torch.nn import functional

from models.action_block import ActionBlock
from models.action_vector import vector_of
from models.config.head import Head
from models.config.policy import PolicyConfig
from models.continuation import Continuation
from models.guess import FirstGuess, Guess, mean
from models.layers import KeyValue, mlp, sinusoid
from models.norms import NORMS, RMSNorm

_SINUSOID_WIDTH = 256  # RDT-1B's, of time and control frequency
_AGE_UNIT_S = 0.01
"""What ages are embedded in. Chosen: the fastest sinusoid then turns once in 63 ms, the time of two frames."""
_SPREAD = 16
"""Targets over which the fastest sinusoid of a fresh position turns by one radian. Chosen: neighbours begin alike, so that even
random weights give smooth chunks."""
_STATE = 2  # the state's place in the sequence, after time and control frequency; targets come behind it


@dataclass(frozen=True)
class Words:
    """What the head needs of an instruction, made once: keys and values of the even blocks' cross-attention."""

    keys_values: tuple[KeyValue, ...]
    mask: torch.Tensor | None  # (B, 1, 1, L) bool, which words there are; None: all
    mean: torch.Tensor  # (B, D) of the words, for the guess; (B, 0, D) without one

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All but the mask, in the order of `of`."""
        return (*(tensor for pair in self.keys_values for tensor in pair), self.mean)

    @classmethod
    def of(cls, tensors: Sequence[torch.Tensor]) -> Self:
        """Words that are all there, from their tensors.

        Args:
            tensors: key and value (1, h, L, D / h) of each even block, then the mean (1, D).

        Returns:
            The words whose `tensors` these are.
        """
        return cls(tuple(zip(tensors[:-1:2], tensors[1:-1:2], strict=True)), None, tensors[-1])


@dataclass(frozen=True)
class TimeTokens:
    """What a denoising step's time gives: constants of a sampler, whose times are always the same."""

    time: torch.Tensor  # (B, D), for modulation
    placed: torch.Tensor  # (B, 2, D): time and control frequency, in their places of the sequence


@dataclass(frozen=True)
class Context:
    """What all denoising steps of a chunk share: keys and values of every block's cross-attention, and the state's token."""

    keys_values: tuple[KeyValue, ...]
    masks: tuple[torch.Tensor | None, ...]  # (B, 1, 1, M) bool a block: which of its tokens there are; None: all
    state: torch.Tensor  # (B, 1, D), in its place of the sequence
    first: FirstGuess | None


class ActionTransformer(nn.Module):
    """The denoiser D of Video2Act, section 3.3: predicts the clean chunk (or the noise) from a noisy one, all normalised."""

    def __init__(self, config: PolicyConfig, image_width: int, image_positions: int, condition_width: int) -> None:
        super().__init__()
        head, width = config.head, config.head.width
        self.config = config
        self.time = mlp(_SINUSOID_WIDTH, width, 2, nn.SiLU())
        self.frequency = mlp(_SINUSOID_WIDTH, width, 2, nn.SiLU())
        # Values and which of them are known; of the state too.
        self.action = mlp(2 * head.action_width * head.token_targets, width, 3)
        self.language = mlp(config.text.width, width, 2)
        self.image = mlp(image_width, width, 2)
        self.sequence_position = nn.Parameter(_positions(3 + config.horizon // head.token_targets, width))
        self.language_position = nn.Parameter(_positions(config.text.max_tokens, width))
        self.image_position = nn.Parameter(_positions(image_positions, width))
        norm = NORMS[head.norm]
        self.blocks = nn.ModuleList(
            ActionBlock(width, head.heads, head.guess_width > 0, norm) for _ in range(head.depth)
        )
        self.guess = None
        if head.guess_width:
            pictures = image_positions // config.image.tokens
            self.guess = Guess(config, pictures * image_width + config.joints + width)
        continues = head.guess_width and head.guess_blend
        self.continuation = Continuation(config.horizon, head.action_width, head.guess_blend) if continues else None
        self.final_norm = norm(width)
        self.final = nn.Sequential(nn.Linear(width, width), nn.GELU(approximate="tanh"))
        self.output = nn.Linear(width, head.action_width * head.token_targets)
        # What Video2Act adds to RDT-1B: System 2's tokens, their age, and the mark of committed targets.
        tokens = config.spatial_former.tokens + config.motion_former.tokens
        self.condition = mlp(condition_width, width, 2)
        self.condition_position = nn.Parameter(torch.zeros(1, tokens, width))
        self.condition_age = nn.Linear(_SINUSOID_WIDTH, width)
        self.committed = nn.Parameter(torch.zeros(head.token_targets, width))
        self.known: torch.Tensor
        self.joint_of: torch.Tensor
        """(U,): which joint stands at each place of an action vector; J, for 0, where none does."""
        self.register_buffer("known", vector_of(head, torch.ones(config.joints)), persistent=False)
        self.register_buffer("joint_of", _joint_of(head), persistent=False)
        for layer in (self.output, self.condition_age):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def zero_initialised(self) -> list[torch.Tensor]:
        """The weights that start at zero; an untrained policy redraws them so that everything has an influence.

        Returns:
            The parameters themselves, not copies.
        """
        last, age = self.output, self.condition_age
        return [last.weight, last.bias, age.weight, age.bias, self.committed, self.condition_position]

    def added(self) -> list[nn.Parameter]:
        """The weights that RDT-1B does not have: System 2's tokens, their age, and the mark of committed targets.

        Returns:
            The parameters themselves, not copies.
        """
        return [
            *self.condition.parameters(),
            self.condition_position,
            *self.condition_age.parameters(),
            self.committed,
        ]

    def words(self, language: torch.Tensor, mask: torch.Tensor | None = None) -> Words:
        """What the head needs of an instruction: F_l of Video2Act, section 3.3. The same for all chunks that follow it.

        Args:
            language: (B, L, text width) states of the instruction.
            mask: (B, L) bool, which words there are; None: all. Training batches texts of several lengths.

        Returns:
            Keys and values of the even blocks, and the words' mean where the head makes a guess.
        """
        words = self.language(language) + self.language_position[:, : language.shape[1]]
        return Words(
            tuple(block.cross.keys_values(words) for block in self._blocks[::2]),
            None if mask is None else mask[:, None, None],
            mean(words, mask) if self.guess is not None else words[:, :0],
        )

    def context(
        self,
        language: torch.Tensor,
        images: torch.Tensor,
        conditions: torch.Tensor | None,
        age_s: torch.Tensor,
        state: torch.Tensor,
        masks: tuple[torch.Tensor | None, torch.Tensor | None] = (None, None),
    ) -> Context:
        """`context_of` with an instruction that was not prepared.

        Args:
            language: (B, L, text width), as `words` takes it.
            images: (B, N, image width), and all that follows, as `context_of` takes them.
            conditions: (B, K, former's width) or None.
            age_s: (B,).
            state: (B, J).
            masks: which words (B, L) and which conditions (B, K) there are, bool; None: all.

        Returns:
            Keys, values and masks of every block, the state's token, and the first guess where the head makes one.
        """
        words_mask, conditions_mask = masks
        return self.context_of(self.words(language, words_mask), images, conditions, age_s, state, conditions_mask)

    def context_of(
        self,
        words: Words,
        images: torch.Tensor,
        conditions: torch.Tensor | None,
        age_s: torch.Tensor,
        state: torch.Tensor,
        conditions_mask: torch.Tensor | None = None,
    ) -> Context:
        """What every denoising step of a chunk needs of its conditions: F_I and F_VDM of Video2Act, section 3.3, beside F_l.

        Args:
            words: of the instruction.
            images: (B, N, image width) tokens of two sets of pictures, the set before first, its cameras in order.
            conditions: (B, K, former's width) System 2's tokens, spatial then motion; None: a policy without video.
            age_s: (B,) of the newest frame that the conditions saw, s.
            state: (B, J) normalised joints now.
            conditions_mask: (B, K) bool, which conditions there are; None: all.

        Returns:
            Keys, values and masks of every block, the state's token, and the first guess where the head makes one.
        """
        understood = None if conditions is None else self._understood(conditions, age_s)
        first = None
        if self.guess is not None:
            keypoints = images[:, :: self.config.image.tokens].flatten(1)
            first = self.guess(keypoints, state, words.mean, understood, conditions_mask)
        seen = self.image(images) + self.image_position
        if understood is not None:
            seen = torch.cat([seen, understood], dim=1)
        if conditions_mask is not None:
            conditions_mask = functional.pad(conditions_mask, (images.shape[1], 0), value=True)[:, None, None]
        keys_values = tuple(
            words.keys_values[index // 2] if index % 2 == 0 else block.cross.keys_values(seen)
            for index, block in enumerate(self._blocks)
        )
        masks = tuple(words.mask if index % 2 == 0 else conditions_mask for index in range(len(self._blocks)))
        return Context(keys_values, masks, self._state(state), first)

    def _understood(self, conditions: torch.Tensor, age_s: torch.Tensor) -> torch.Tensor:
        """System 2's tokens (B, K, D): projected, with their place in the sequence and their age added."""
        age = self.condition_age(sinusoid(age_s / _AGE_UNIT_S, _SINUSOID_WIDTH).to(conditions.dtype))
        return self.condition(conditions) + self.condition_position + age.unsqueeze(1)

    def _state(self, state: torch.Tensor) -> torch.Tensor:
        """Joints (B, J) as their token (B, 1, D) in its place of the sequence."""
        vector = functional.pad(state, (0, 1)).index_select(-1, self.joint_of)
        token = self._embed(vector.unsqueeze(1).expand(-1, self.config.head.token_targets, -1))
        return token + self.sequence_position[:, _STATE : _STATE + 1]

    def at(self, time: torch.Tensor, dtype: torch.dtype) -> TimeTokens:
        """What a diffusion time gives, whatever is denoised.

        Args:
            time: (B,) in 0..train_steps - 1.
            dtype: of the noisy chunks.

        Returns:
            The tokens of time and control frequency.
        """
        frequency = torch.full_like(time, self.config.control_hz, dtype=torch.float32)
        of_time = self.time(sinusoid(time, _SINUSOID_WIDTH).to(dtype))
        of_frequency = self.frequency(sinusoid(frequency, _SINUSOID_WIDTH).to(dtype))
        both = torch.stack([of_time, of_frequency], dim=1)
        return TimeTokens(of_time, both + self.sequence_position[:, :_STATE])

    def forward(
        self, noisy: torch.Tensor, time: torch.Tensor | TimeTokens, context: Context, committed: torch.Tensor
    ) -> torch.Tensor:
        """One denoising step.

        Args:
            noisy: (B, H, U) normalised chunk with noise; committed targets are clean.
            time: (B,) diffusion time in 0..train_steps - 1, or what `at` made of it.
            context: of B observations, or of fewer, each for several noisy chunks in a row (as in training).
            committed: (B, H) bool, which targets are fixed already; they are marked, and not predicted.

        Returns:
            (B, H, U): what Head.prediction names, in the noisy chunk's dtype.
        """
        times = time if isinstance(time, TimeTokens) else self.at(time, noisy.dtype)
        targets = self.config.head.token_targets
        marks = committed.unflatten(1, (-1, targets)).to(noisy.dtype) @ self.committed
        actions = self._embed(noisy) + marks + self.sequence_position[:, _STATE + 1 :]
        again = len(noisy) // len(context.state)
        x = torch.cat([times.placed, _repeated(context.state, again), actions], dim=1)
        modulation = None
        if context.first is not None:
            modulation = functional.silu(times.time + _repeated(context.first.modulation, again))
        for block, keys_values, mask in zip(self._blocks, context.keys_values, context.masks, strict=True):
            x = block(x, keys_values, mask, modulation)
        found = self.output(self.final(self.final_norm(x[:, _STATE + 1 :]))).unflatten(-1, (targets, -1)).flatten(1, 2)
        if context.first is None:
            return found
        guess = _repeated(context.first.chunk, again)
        return found + (guess if self.continuation is None else self.continuation(guess, noisy, committed))

    def fuse(self) -> None:
        """Make each block's self-attention one product, and norms few operations; for inference, once weights are in place."""
        for module in self.modules():
            if isinstance(module, RMSNorm):
                module.fuse()
        for block in self._blocks:
            block.self_attention.merge()

    @property
    def _blocks(self) -> list[ActionBlock]:
        return list(cast(Iterable[ActionBlock], self.blocks))

    def _embed(self, vectors: torch.Tensor) -> torch.Tensor:
        """Action vectors (B, n, U), each with a vector that is 1 where a joint stands, to tokens (B, n / token_targets, D)."""
        marked = torch.cat([vectors, self.known.to(vectors.dtype).expand_as(vectors)], dim=-1)
        return self.action(marked.unflatten(1, (-1, self.config.head.token_targets)).flatten(2))


def _repeated(x: torch.Tensor, times: int) -> torch.Tensor:
    """(B, ...) -> (times B, ...), each row so often in a row; without a copy where it is once."""
    return x if times == 1 else x.repeat_interleave(times, dim=0)


def _joint_of(head: Head) -> torch.Tensor:
    """The inverse of Head.joint_places, (U,) long: J at places without a joint."""
    joints = len(head.joint_places)
    return torch.tensor([
        head.joint_places.index(place) if place in head.joint_places else joints for place in range(head.action_width)
    ])  # fmt: skip


def _positions(count: int, width: int) -> torch.Tensor:
    """(1, count, D): sinusoids of place / _SPREAD, from which learned positions start."""
    return sinusoid(torch.arange(count) / _SPREAD, width)[None]
