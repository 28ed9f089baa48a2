"""How far a chunk depends on what it is made of: System 2's tokens, System 1's pictures and committed targets, each put in from
elsewhere while all else stays.

Called by runtime/evaluation/influence.py. Moving a chunk is not enough: tokens are understood where the chunk errs less with a
scene's own than with their mean. Legend: H targets, J joints, K tokens, D width; rad, without the grippers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from models.chunk_predictor import ChunkPredictor
from models.data.episode import GRIPPERS
from models.moments import Moment
from models.policy import ConditionTokens, InstructionEmbedding

OFFSET_RAD = 0.05
"""By which committed targets are put off. Chosen: within what training shows at most, 0.08 (models/train/choices.py)."""
_COMMITTED_SHARE = 8  # of a chunk one in so many targets is committed; chosen: 8 of 64, a quarter of a second
_NOISE_SEED = 7  # of all chunks: what differs between two of them is what was put in
Array = NDArray[np.floating]


@dataclass(frozen=True)
class Influence:
    """Figures of one scene among others of its task at the same step; rad but for the last. Of tokens: None without video."""

    tokens_rad: float | None
    """RMS by which another scene's tokens move the chunk, mean over the others."""
    pictures_rad: float
    """The same of another scene's pictures."""
    to_tell_rad: float
    """RMS between the motions that were demonstrated here and there."""
    own_error_rad: float
    """RMS between the chunk and what was demonstrated."""
    mean_error_rad: float | None
    """The same with the mean of all scenes' tokens."""
    other_error_rad: float | None
    """The same with another scene's tokens, mean over the others."""
    kept_share: float
    """Of an offset of all committed targets, what the first free target keeps: 1 goes on from there, 0 jumps back."""

    @property
    def understood_rad(self) -> float | None:
        """How much nearer to the demonstration the chunk is with the scene's own tokens than with their mean."""
        return None if self.mean_error_rad is None else self.mean_error_rad - self.own_error_rad


def measure(
    fast: ChunkPredictor, instruction: InstructionEmbedding, moments: Sequence[Moment], others: int
) -> list[Influence]:
    """Compare the scenes of one task at the same step.

    Args:
        fast: System 1.
        instruction: the same for all, so that only the scenes differ.
        moments: one a scene, at least 2; all with conditions, or none.
        others: with how many other scenes each is compared, those that follow it in turn; at most all of them.

    Returns:
        The figures of each scene.
    """
    mean = _mean([moment.conditions for moment in moments if moment.conditions is not None])
    turned = [[*moments[at + 1 :], *moments[:at]][:others] for at in range(len(moments))]
    return [
        _Scene(fast, instruction, moment).compared(partners, mean)
        for moment, partners in zip(moments, turned, strict=True)
    ]


class _Scene:
    """A moment, of which the policy makes chunks with something else in place of its own."""

    def __init__(self, fast: ChunkPredictor, instruction: InstructionEmbedding, moment: Moment) -> None:
        self._fast, self._instruction, self._moment = fast, instruction, moment
        self._own = self._chunk(moment)
        self._wanted = _demonstrated(moment, len(self._own))

    def compared(self, others: Sequence[Moment], mean: ConditionTokens | None) -> Influence:
        """The figures among some other scenes, with the mean of all scenes' tokens."""
        heard = None if mean is None else [self._with(conditions=other.conditions) for other in others]
        seen = [self._with(sets=other.sets) for other in others]
        here = self._wanted - self._moment.q
        there = [_demonstrated(other, len(here)) - other.q for other in others]
        return Influence(
            tokens_rad=None if heard is None else _mean_rms(heard, self._own),
            pictures_rad=_mean_rms(seen, self._own),
            to_tell_rad=_mean_rms(there, here),
            own_error_rad=_mean_rms([self._own], self._wanted),
            mean_error_rad=None if mean is None else _mean_rms([self._with(conditions=mean)], self._wanted),
            other_error_rad=None if heard is None else _mean_rms(heard, self._wanted),
            kept_share=self._kept_share(),
        )

    def _kept_share(self) -> float:
        """Mean over both signs and all joints of the arms."""
        count = max(1, len(self._own) // _COMMITTED_SHARE)
        prefix = self._wanted[:count].astype(np.float64)
        arms = np.ones(prefix.shape[1])
        arms[list(GRIPPERS)] = 0
        up, down = (self._chunk(self._moment, prefix + sign * OFFSET_RAD * arms)[count] for sign in (1, -1))
        return float(_arms(up - down).mean() / (2 * OFFSET_RAD))

    def _with(self, **put_in: object) -> Array:
        return self._chunk(replace(self._moment, **put_in))  # pyright: ignore[reportArgumentType]

    def _chunk(self, moment: Moment, prefix: Array | None = None) -> Array:
        known = np.zeros((0, len(moment.q))) if prefix is None else prefix
        conditions, age_s = moment.conditions, moment.age_s
        return self._fast.predict_chunk(moment.sets, moment.q, self._instruction, conditions, age_s, known, _NOISE_SEED)


def _mean(tokens: Sequence[ConditionTokens]) -> ConditionTokens | None:
    """The mean of several scenes' tokens; None of none."""
    if not tokens:
        return None
    return ConditionTokens(
        *(torch.stack([getattr(one, part) for one in tokens]).mean(0) for part in ("spatial", "motion"))
    )


def _demonstrated(moment: Moment, horizon: int) -> Array:
    """The targets (H, J) that were demonstrated; beyond the end the last again."""
    return moment.targets[np.minimum(np.arange(horizon), len(moment.targets) - 1)]


def _mean_rms(chunks: Sequence[Array], reference: Array) -> float:
    """The mean of the chunks' RMS distances (H, J) from one, over targets and joints of the arms."""
    return float(np.mean([np.sqrt(np.square(_arms(chunk - reference)).mean()) for chunk in chunks]))


def _arms(of_joints: Array) -> Array:
    """(..., J) without the grippers."""
    return np.delete(of_joints, GRIPPERS, axis=-1)
