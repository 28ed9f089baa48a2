"""Clips cut out of prepared demonstrations, and how they are shown to the video model: noise of a drawn level, some without
text or pictures. Both stages' batches hold them.

Used by imagining.py, observations.py and acting.py. Legend: B clips, T frames of a clip, K cameras, c h w a latent, D text
width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from models.train.prepared import Prepared, Tensors
from models.train.video_policy.choices import Imagining
from models.train.video_policy.recorded import clip_steps
from models.video_policy import edm, frames
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.video_model import Given


@dataclass(frozen=True)
class Recording:
    """One demonstration, prepared; `texts` are its wordings' rows in the table of instructions."""

    latents: tuple[Prepared, ...]
    """Of the pictures as they are, and of changed ones."""
    texts: tuple[int, ...]

    @property
    def steps(self) -> int:
        """How many it has."""
        return self.latents[0].count("clean")


def cut(recording: Recording, step: int, config: VideoPolicyConfig, random: np.random.Generator) -> Tensors:
    """The clip of one step.

    Args:
        recording: what it is cut from; which version and which wording is drawn.
        step: of the current pictures.
        config: the clip's cameras and offsets.
        random: draws.

    Returns:
        clean (T, c, h, w) and current (K, c, h, w) float32, text () its row of the table.
    """
    stored = recording.latents[int(random.integers(len(recording.latents)))]
    steps = clip_steps(config, step, recording.steps)
    rows = stored.rows("clean", step, max(steps) + 1)
    clean = rows[[one - step for one in steps], list(frames.cameras(config.clip))]
    return {
        "clean": clean.float(),
        "current": stored.rows("current", step, step + 1)[0].float(),
        "text": torch.tensor(int(random.choice(recording.texts))),
    }


def drawn(clips: Sequence[Tensors], dropout: float, random: np.random.Generator) -> Tensors:
    """A batch of clips with what each is shown with.

    Args:
        clips: of `cut`.
        dropout: as Clips.dropout.
        random: draws.

    Returns:
        Their tensors, stacked; level (B,) float32, standard normal, for edm.drawn_levels; without_text and without_pictures
        (B,) bool; and a seed (1,).
    """
    share = random.random(len(clips))
    made = {name: torch.stack([clip[name] for clip in clips]) for name in clips[0]}
    return made | {
        "level": torch.from_numpy(random.standard_normal(len(clips)).astype(np.float32)),
        "without_text": torch.from_numpy(share < dropout),
        "without_pictures": torch.from_numpy((share >= dropout / 2) & (share < 1.5 * dropout)),
        "seed": torch.tensor([int(random.integers(2**62))]),
    }


class ClipBatches(Dataset[Tensors]):
    """Batches for stage 1, drawn from the seed and their number; every demonstration is as likely, whatever its length."""

    def __init__(
        self, recordings: Sequence[Recording], config: VideoPolicyConfig, imagining: Imagining, seed: int
    ) -> None:
        self._recordings, self._config, self._imagining, self._seed = recordings, config, imagining, seed

    def __getitem__(self, number: int) -> Tensors:
        """Batch `number`, as `drawn`."""
        random = np.random.default_rng([self._seed, number])
        clips: list[Tensors] = []
        for _ in range(self._imagining.clips):
            recording = self._recordings[int(random.integers(len(self._recordings)))]
            clips.append(cut(recording, int(random.integers(recording.steps)), self._config, random))
        return drawn(clips, self._imagining.dropout, random)


@dataclass(frozen=True)
class Shown:
    """A batch's clips as the video model is given them."""

    noisy: torch.Tensor
    """(B, T, c, h, w) float32."""
    s: torch.Tensor
    """(B,) float32, the noise levels."""
    given: Given

    def error(self, clean: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Weighted squared error of the clean clips that a model sees, a scalar, float32 (Karras et al. 2022, eq. (8))."""
        return (clean.float() - wanted).square().mul(edm.per_sample(edm.weight(self.s), wanted)).mean()


class Showing(nn.Module):
    """Adds the noise, and leaves out what is dropped. Holds the pooled tokens of all wordings, (1, 1, D) each."""

    def __init__(self, config: VideoPolicyConfig, tokens: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self._config = config
        self._tokens: torch.Tensor
        self.register_buffer("_tokens", torch.cat(list(tokens)).clone(), persistent=False)

    def forward(self, batch: Tensors, random: torch.Generator) -> Shown:
        """The clips of a batch of `drawn`; `random` draws the noise."""
        clean, s = batch["clean"], edm.drawn_levels(self._config.diffusion, batch["level"])
        noise = torch.randn(clean.shape, generator=random, device=clean.device)
        text = self._tokens[batch["text"]].masked_fill(batch["without_text"][:, None, None], 0)
        current = batch["current"].masked_fill(edm.per_sample(batch["without_pictures"], batch["current"]), 0)
        return Shown(clean + edm.per_sample(s, clean) * noise, s, Given(current, text))
