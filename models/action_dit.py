"""The action head of System 1: a diffusion transformer of RDT-1B's shape (Video2Act, sections 3.2.1 and 3.3).

Called by models/system1.py and by stage 2's training. Even blocks attend to the instruction, odd ones to the images with System
2's tokens appended. Keys and values of both contexts do not depend on the denoising step: made once per chunk (`Context`).
Legend: B batch, H targets in a chunk, J joints, U numbers of an action vector, L words, N image tokens, K System 2's tokens,
D width. With RDT-1B's numbers it has RDT-1B's weights (models/rdt.py reads them), and beside them only those of `added`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn import functional

from models.action_vector import vector_of
from models.config import PolicyConfig
from models.layers import NORMS, Attention, FeedForward, KeyValue, RMSNorm, mlp, sinusoid

_SINUSOID_WIDTH = 256  # RDT-1B's, of time and control frequency
_AGE_UNIT_S = 0.01
"""What ages are embedded in. Chosen: the fastest sinusoid then turns once in 63 ms, the time of two frames."""
_SPREAD = 16
"""Targets over which the fastest sinusoid of a fresh position turns by one radian. Chosen: neighbours begin alike, so that even
random weights give smooth chunks."""


@dataclass(frozen=True)
class Context:
    """What all denoising steps of a chunk share: keys and values of every block's cross-attention, and the state's token."""

    keys_values: tuple[KeyValue, ...]
    masks: tuple[torch.Tensor | None, ...]  # (B, 1, 1, M) bool a block: which of its tokens there are; None: all
    state: torch.Tensor  # (B, 1, D)
    first: "FirstGuess | None"


@dataclass(frozen=True)
class FirstGuess:
    """What the guess gives before any denoising: a chunk, and what changes the blocks that correct it."""

    chunk: torch.Tensor  # (B, H, U), to be corrected
    modulation: torch.Tensor  # (B, D), of every block


class ActionTransformer(nn.Module):
    """The denoiser D of Video2Act, section 3.3: predicts the clean chunk (or the noise) from a noisy one, all normalised."""

    def __init__(self, config: PolicyConfig, image_width: int, image_positions: int, condition_width: int) -> None:
        super().__init__()
        head, width = config.head, config.head.width
        self.config = config
        self.time = mlp(_SINUSOID_WIDTH, width, 2, nn.SiLU())
        self.frequency = mlp(_SINUSOID_WIDTH, width, 2, nn.SiLU())
        self.action = mlp(
            2 * head.action_width * head.token_targets, width, 3
        )  # values and which are known; the state too
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
        self.register_buffer("known", vector_of(head, torch.ones(config.joints)), persistent=False)
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

    def context(
        self,
        language: torch.Tensor,
        images: torch.Tensor,
        conditions: torch.Tensor | None,
        age_s: torch.Tensor,
        state: torch.Tensor,
        masks: tuple[torch.Tensor | None, torch.Tensor | None] = (None, None),
    ) -> Context:
        """What every denoising step of a chunk needs of its conditions: F_l, F_I and F_VDM of Video2Act, section 3.3.

        Args:
            language: (B, L, text width) states of the instruction.
            images: (B, N, image width) tokens of two sets of pictures, the set before first, its cameras in order.
            conditions: (B, K, former's width) System 2's tokens, spatial then motion; None: a policy without video.
            age_s: (B,) of the newest frame that the conditions saw, s.
            state: (B, J) normalised joints now.
            masks: which words (B, L) and which conditions (B, K) there are, bool; None: all. Training batches texts of several
                lengths.

        Returns:
            Keys, values and masks of every block, the state's token, and the first guess where the head makes one.
        """
        words = self.language(language) + self.language_position[:, : language.shape[1]]
        seen = self.image(images) + self.image_position
        understood = None if conditions is None else self._understood(conditions, age_s)
        if understood is not None:
            seen = torch.cat([seen, understood], dim=1)
        keys_values = tuple(
            block.cross.keys_values(words if index % 2 == 0 else seen)
            for index, block in enumerate(cast(Iterable[ActionBlock], self.blocks))
        )
        words_mask, conditions_mask = masks
        first = None
        if self.guess is not None:
            keypoints = images[:, :: self.config.image.tokens].flatten(1)
            first = self.guess(keypoints, state, _mean(words, words_mask), understood, conditions_mask)
        if conditions_mask is not None:
            conditions_mask = functional.pad(conditions_mask, (images.shape[1], 0), value=True)
        kinds = [None if mask is None else mask[:, None, None] for mask in (words_mask, conditions_mask)]
        state = vector_of(self.config.head, state).unsqueeze(1).expand(-1, self.config.head.token_targets, -1)
        block_masks = tuple(kinds[index % 2] for index in range(len(self.blocks)))
        return Context(keys_values, block_masks, self._embed(state), first)

    def _understood(self, conditions: torch.Tensor, age_s: torch.Tensor) -> torch.Tensor:
        """System 2's tokens (B, K, D): projected, with their place in the sequence and their age added."""
        age = self.condition_age(sinusoid(age_s / _AGE_UNIT_S, _SINUSOID_WIDTH).to(conditions.dtype))
        return self.condition(conditions) + self.condition_position + age.unsqueeze(1)

    def forward(
        self, noisy: torch.Tensor, time: torch.Tensor, context: Context, committed: torch.Tensor
    ) -> torch.Tensor:
        """One denoising step.

        Args:
            noisy: (B, H, U) normalised chunk with noise; committed targets are clean.
            time: (B,) diffusion time in 0..train_steps - 1.
            context: of B observations, or of fewer, each for several noisy chunks in a row (as in training).
            committed: (B, H) bool, which targets are fixed already; they are marked, and not predicted.

        Returns:
            (B, H, U): what Head.prediction names, in the noisy chunk's dtype.
        """
        targets = self.config.head.token_targets
        marks = committed.unflatten(1, (-1, targets)).to(noisy.dtype) @ self.committed
        actions = self._embed(noisy) + marks
        frequency = torch.full_like(time, self.config.control_hz, dtype=torch.float32)
        begin = [embed(sinusoid(value, _SINUSOID_WIDTH).to(noisy.dtype)).unsqueeze(1) for embed, value in (
            (self.time, time), (self.frequency, frequency),
        )]  # fmt: skip
        again = len(noisy) // len(context.state)
        modulation = None
        if context.first is not None:
            modulation = begin[0].squeeze(1) + context.first.modulation.repeat_interleave(again, dim=0)
        state = context.state.repeat_interleave(again, dim=0)
        x = torch.cat([*begin, state, actions], dim=1) + self.sequence_position
        first_action = x.shape[1] - actions.shape[1]
        for block, keys_values, mask in zip(self.blocks, context.keys_values, context.masks, strict=True):
            x = block(x, keys_values, mask, modulation)
        found = self.output(self.final(self.final_norm(x[:, first_action:]))).unflatten(-1, (targets, -1)).flatten(1, 2)
        return found if context.first is None else found + context.first.chunk.repeat_interleave(again, dim=0)

    def _embed(self, vectors: torch.Tensor) -> torch.Tensor:
        """Action vectors (B, n, U), each with a vector that is 1 where a joint stands, to tokens (B, n / token_targets, D)."""
        marked = torch.cat([vectors, self.known.to(vectors.dtype).expand_as(vectors)], dim=-1)
        return self.action(marked.unflatten(1, (-1, self.config.head.token_targets)).flatten(2))


def _positions(count: int, width: int) -> torch.Tensor:
    """(1, count, D): sinusoids of place / _SPREAD, from which learned positions start."""
    return sinusoid(torch.arange(count) / _SPREAD, width)[None]


def _mean(tokens: torch.Tensor, there: torch.Tensor | None) -> torch.Tensor:
    """Mean (B, D) of the tokens (B, n, D) that are there, (B, n) bool; zero where none is."""
    if there is None:
        return tokens.mean(1)
    return (tokens * there[..., None]).sum(1) / there.sum(1, keepdim=True).clamp(min=1)


class Guess(nn.Module):
    """A perceptron that guesses the chunk without denoising, and modulates the transformer that corrects the guess (adaLN).

    RDT-1B has nothing like it; Head.guess_width switches it on. System 2's tokens begin without influence.
    """

    def __init__(self, config: PolicyConfig, inputs: int) -> None:
        super().__init__()
        head, inner = config.head, config.head.guess_width
        self.known = nn.Linear(inputs, inner)
        self.each = nn.Linear(head.width, head.guess_tokens) if head.guess_tokens else None
        tokens = config.spatial_former.tokens + config.motion_former.tokens
        given = tokens * head.guess_tokens if head.guess_tokens else head.width
        self.understood = nn.Linear(given, inner)  # begins at zero: what System 2 tells is added as it proves useful
        nn.init.zeros_(self.understood.weight)
        nn.init.zeros_(self.understood.bias)
        self.inner = nn.Sequential(nn.SiLU(), nn.Linear(inner, inner), nn.SiLU())
        self.chunk = nn.Linear(inner, config.horizon * head.action_width)
        self.modulation = nn.Linear(inner, head.width)
        self.horizon = config.horizon

    def forward(
        self,
        keypoints: torch.Tensor,
        state: torch.Tensor,
        words: torch.Tensor,
        understood: torch.Tensor | None,
        there: torch.Tensor | None,
    ) -> FirstGuess:
        """Guess from what is seen, felt and said.

        Args:
            keypoints: (B, P) the first token of each picture, one after the other.
            state: (B, J) normalised joints.
            words: (B, D) mean of the instruction's tokens.
            understood: (B, K, D) System 2's tokens; None: a policy without video.
            there: (B, K) bool, which of these there are; None: all.

        Returns:
            The chunk (B, H, U) and the modulation (B, D).
        """
        x = self.known(torch.cat([keypoints, state.to(keypoints.dtype), words], dim=1))
        if understood is not None:
            x = x + self.understood(self._of_each(understood, there))
        x = self.inner(x)
        return FirstGuess(self.chunk(x).unflatten(1, (self.horizon, -1)), self.modulation(x))

    def _of_each(self, understood: torch.Tensor, there: torch.Tensor | None) -> torch.Tensor:
        """Head.guess_tokens numbers of every token, (B, K * n), or where that is 0 the mean of all, (B, D)."""
        if self.each is None:
            return _mean(understood, there)
        features = self.each(understood)
        return (features if there is None else features * there[..., None]).flatten(1)


class ActionBlock(nn.Module):
    """Self-attention, cross-attention, feed-forward, as RDT-1B's block: a norm before each, a residual around each."""

    def __init__(self, width: int, heads: int, modulated: bool, norm: type[RMSNorm]) -> None:
        super().__init__()
        self.modulation = nn.Linear(width, 6 * width) if modulated else None
        if self.modulation is not None:
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)
        self.self_norm = norm(width)
        self.self_attention = Attention(width, heads, norm)
        self.cross_norm = norm(width)
        self.cross = Attention(width, heads, norm)
        self.feed_norm = norm(width)
        self.feed_forward = FeedForward(width)

    def forward(
        self, x: torch.Tensor, context: KeyValue, mask: torch.Tensor | None, modulation: torch.Tensor | None
    ) -> torch.Tensor:
        """One block of one denoising step.

        Args:
            x: (B, 3 + H / token_targets, D): time, control frequency, state, targets.
            context: keys and values of C observations, (C, h, M, D / h) each; B / C chunks in a row share one's.
            mask: (C, 1, 1, M) bool, which of the context's tokens there are; None: all.
            modulation: (B, D); None: a head without a guess.

        Returns:
            (B, 3 + H / token_targets, D).
        """
        scale, shift, feed_scale, feed_shift, gate, feed_gate = self._modulated(modulation)
        x = x + self.self_attention(self.self_norm(x) * scale + shift) * gate
        chunks = len(x) // len(context[0])  # of one observation: they share its keys and values
        queries = self.cross_norm(x).unflatten(0, (-1, chunks)).flatten(1, 2)
        x = x + self.cross(queries, context, mask).unflatten(1, (chunks, -1)).flatten(0, 1)
        return x + self.feed_forward(self.feed_norm(x) * feed_scale + feed_shift) * feed_gate

    def _modulated(self, modulation: torch.Tensor | None) -> tuple[torch.Tensor | float, ...]:
        """Scale and shift of both, then both gates, (B, 1, D) each; 1, 0 and 1 at first, and where there is no modulation."""
        if self.modulation is None or modulation is None:
            return 1.0, 0.0, 1.0, 0.0, 1.0, 1.0
        scale, shift, feed_scale, feed_shift, gate, feed_gate = (
            self.modulation(functional.silu(modulation)).unsqueeze(1).chunk(6, dim=-1)
        )
        return 1 + scale, shift, 1 + feed_scale, feed_shift, 1 + gate, 1 + feed_gate
