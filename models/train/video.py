"""Stage 1: the video model learns robot video. First its VAE, where none is published, then flow matching on its latents.

Called by runtime/training/stages.py. Both of System 2's windows are learnt as they are used: the short one in high, the long
one in low resolution.
Legend: B samples, T frames, H W pixels, h w latent grid, c latent channels, L words.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import Dataset

from models.backbones.backbone import Backbone, VideoText
from models.train.choices import Autoencoding, Filming
from models.train.prepared import Prepared, Tensors

_STREAMS = ("high", "low")


class Pictures(Dataset[Tensors]):
    """Batches of head pictures, drawn from seed and number: even ones in the short window's size, odd in the long one's."""

    def __init__(self, shards: Sequence[Prepared], filming: Filming, seed: int) -> None:
        self._shards, self._filming, self._seed = shards, filming, seed

    def __getitem__(self, number: int) -> Tensors:
        """Batch `number`: pictures (B, 3, 1, H, W) uint8, each a video of one frame, and a seed (1,)."""
        random = np.random.default_rng([self._seed, number])
        name = _STREAMS[number % len(_STREAMS)]
        rows = [any_row(self._shards, name, random) for _ in range(self._filming.pictures)]
        return {"pictures": torch.stack([row for _, row in rows]).unsqueeze(2), "seed": _seed(random)}


class AutoencoderLoss(nn.Module):
    """A VAE's loss: mean absolute error of the pictures it gives back, plus the KL divergence of its latents, weighted."""

    def __init__(self, vae: nn.Module, chosen: Autoencoding) -> None:
        super().__init__()
        self.vae, self._divergence = vae, chosen.divergence

    def forward(self, batch: Tensors) -> torch.Tensor:
        """Loss of a batch of `Pictures`: a scalar, float32."""
        with plain_on_cpu(batch["pictures"]):
            pictures = batch["pictures"].float().div_(127.5).sub_(1)
            random = torch.Generator(pictures.device).manual_seed(int(batch["seed"][0]))
            posterior, found = self.coded(pictures, random)
            divergence = posterior.kl().mean() / posterior.mean[0].numel()
            return functional.l1_loss(found.float(), pictures) + self._divergence * divergence

    def coded(self, pictures: torch.Tensor, random: torch.Generator) -> tuple[Any, torch.Tensor]:
        """The posterior of pictures in -1..1, and what is decoded from a sample of it, of their shape."""
        vae = cast(Any, self.vae)
        posterior = vae.encode(pictures).latent_dist
        return posterior, vae.decode(posterior.sample(random)).sample


def plain_on_cpu(like: torch.Tensor) -> AbstractContextManager[object]:
    """A context in which a CPU computes in float32; elsewhere the training's number type stays.

    In bfloat16 oneDNN's backward pass of convolutions over three dimensions destroys the heap (torch 2.13, Xeons with AMX,
    pictures of 96 x 128).
    """
    return torch.autocast("cpu", enabled=False) if like.device.type == "cpu" else nullcontext()


@torch.inference_mode()
def latent_spread(backbone: Backbone, shards: Sequence[Prepared], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation (c,) of the latents of 64 drawn pictures: places of the grid make them thousands."""
    random = np.random.default_rng(seed)
    pictures = torch.stack([any_row(shards, "high", random)[1] for _ in range(64)]).unsqueeze(2)
    latents = backbone.encode(pictures.float().div_(127.5).sub_(1))
    return latents.mean((0, 2, 3, 4)), latents.std((0, 2, 3, 4))


@dataclass(frozen=True)
class Film:
    """One demonstration's latents; `texts` are its wordings' rows in the table of instructions."""

    latents: Prepared
    texts: tuple[int, ...]


class Windows(Dataset[Tensors]):
    """Batches of latent windows, drawn from the seed and their number: even ones of the short stream, odd of the long one."""

    def __init__(self, films: Sequence[Film], filming: Filming, seed: int) -> None:
        self._films, self._filming, self._seed = films, filming, seed

    def __getitem__(self, number: int) -> Tensors:
        """Batch `number`: clean (B, c, T, h, w) float32, time (B,) in 0..1, text (B,) its row of the table, a seed (1,)."""
        random = np.random.default_rng([self._seed, number])
        name = _STREAMS[number % len(_STREAMS)]
        rows = [any_row([film.latents for film in self._films], name, random) for _ in range(self._filming.windows)]
        texts = [int(random.choice(self._films[film].texts)) for film, _ in rows]
        time = random.random(len(rows)) * (random.random(len(rows)) >= self._filming.clean_share)
        return {
            "clean": torch.stack([row for _, row in rows]).float(),
            "time": torch.from_numpy(time.astype(np.float32)),
            "text": torch.tensor(texts),
            "seed": _seed(random),
        }


class Wordings(nn.Module):
    """The texts that windows are read with, as one table on the network's device, padded to the longest."""

    def __init__(self, texts: Sequence[VideoText]) -> None:
        super().__init__()
        longest = max(text.states.shape[1] for text in texts)
        states = [functional.pad(text.states[0], (0, 0, 0, longest - text.states.shape[1])) for text in texts]
        there = [torch.arange(longest) < text.states.shape[1] for text in texts]
        self._states: torch.Tensor
        self._there: torch.Tensor
        self._pooled: torch.Tensor
        self.register_buffer("_states", torch.stack(states).clone(), persistent=False)
        self.register_buffer("_there", torch.stack(there), persistent=False)
        self.register_buffer("_pooled", torch.cat([text.pooled for text in texts]).clone(), persistent=False)

    def forward(self, rows: torch.Tensor) -> tuple[VideoText, torch.Tensor]:
        """The texts of rows (B,): states (B, L, D) and pooled (B, D'), and which of their words there are, (B, L) bool."""
        return VideoText(self._states[rows], self._pooled[rows]), self._there[rows]


class FlowLoss(nn.Module):
    """Flow matching (Lipman et al. 2023): the model tells the direction from clean to noise at any time, 0 included."""

    def __init__(self, backbone: Backbone, texts: Sequence[VideoText]) -> None:
        super().__init__()
        self.backbone, self.wordings = backbone, Wordings(texts)

    def forward(self, batch: Tensors) -> torch.Tensor:
        """Loss of a batch of `Windows`: a scalar, float32; noise is drawn from the batch's seed."""
        random = torch.Generator(batch["clean"].device).manual_seed(int(batch["seed"][0]))
        return flow_error(self.backbone, self.wordings, batch["clean"], batch["time"], batch["text"], random)


def flow_error(
    backbone: Backbone,
    wordings: Wordings,
    clean: torch.Tensor,
    time: torch.Tensor,
    rows: torch.Tensor,
    random: torch.Generator,
) -> torch.Tensor:
    """Mean squared error of the model's velocity: |v((1 - t) x + t n, t) - (n - x)|^2.

    Args:
        backbone: the model.
        wordings: the table of texts.
        clean: x, (B, c, T, h, w) float32.
        time: t, (B,), 0 clean to 1 noise.
        rows: (B,) which text each window is read with.
        random: draws the noise n.

    Returns:
        A scalar, float32.
    """
    noise = torch.randn(clean.shape, generator=random, device=clean.device)
    share = time[:, None, None, None, None]
    text, there = wordings(rows)
    found = backbone.velocity((1 - share) * clean + share * noise, time, text, there)
    return functional.mse_loss(found.float(), noise - clean)


def any_row(shards: Sequence[Prepared], name: str, random: np.random.Generator) -> tuple[int, torch.Tensor]:
    """A drawn row, every shard equally likely whatever its length, and the number of its shard."""
    index = int(random.integers(len(shards)))
    row = int(random.integers(shards[index].count(name)))
    return index, shards[index].rows(name, row, row + 1)[0]


def _seed(random: np.random.Generator) -> torch.Tensor:
    return torch.tensor([int(random.integers(2**62))])
