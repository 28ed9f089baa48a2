"""Stage 1: the video model learns robot video. First its VAE, where none is published, then its U-Net by denoising (EDM).

Called by runtime/training/video_policy_stages.py through models/train/loop.py.
Legend: B rows, n frames of one camera, H W pixels, c h w a latent.
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from models.train.prepared import Prepared, Tensors
from models.train.video import AutoencoderLoss, any_row, plain_on_cpu
from models.train.video_policy.choices import Imagining
from models.train.video_policy.clips import Showing
from models.video_policy.video_model import VideoModel

_MEASURED = 64  # rows of pictures whose latents are measured; chosen: places of the grid make them thousands


class RunsOfPictures(Dataset[Tensors]):
    """Batches for the VAE, drawn from the seed and their number: each row is one camera's frames of a clip."""

    def __init__(self, files: Sequence[Prepared], imagining: Imagining, seed: int) -> None:
        self._files, self._imagining, self._seed = files, imagining, seed

    def __getitem__(self, number: int) -> Tensors:
        """Batch `number`: pictures (B, n, 3, H, W) uint8, with at least as many pictures as chosen, and a seed (1,)."""
        random = np.random.default_rng([self._seed, number])
        _, first = any_row(self._files, "pictures", random)
        rows = [first]
        while len(rows) * len(first) < self._imagining.pictures:
            rows.append(any_row(self._files, "pictures", random)[1])
        return {"pictures": torch.stack(rows), "seed": torch.tensor([int(random.integers(2**62))])}


class RunAutoencoderLoss(AutoencoderLoss):
    """The loss of a VAE whose decoder reads several frames of one camera together."""

    def coded(self, pictures: torch.Tensor, random: torch.Generator) -> tuple[Any, torch.Tensor]:
        """The posterior of pictures (B, n, 3, H, W) in -1..1, and what is decoded from a sample of it, of the same shape."""
        vae, frames = cast(Any, self.vae), pictures.shape[1]
        posterior = vae.encode(pictures.flatten(0, 1)).latent_dist
        found = vae.decode(posterior.sample(random), num_frames=frames).sample
        return posterior, found.unflatten(0, pictures.shape[:2])


@torch.inference_mode()
def measured_scaling(video: VideoModel, files: Sequence[Prepared], seed: int) -> float:
    """The factor that brings latents to a standard deviation of 1: EDM's noise levels are told for such data.

    Args:
        video: whose VAE encodes.
        files: pictures, of `recorded.samples`.
        seed: which of them.

    Returns:
        `autoencoder.scaling`.
    """
    random = np.random.default_rng(seed)
    rows = [any_row(files, "pictures", random)[1] for _ in range(_MEASURED)]
    latents = [video.encode(row[None].float().div_(127.5).sub_(1)) for row in rows]
    return video.config.autoencoder.scaling / float(torch.cat(latents).std())


class ImaginingLoss(nn.Module):
    """The video model's loss: of the clean clip that it sees in a noisy one (paper, section 4.3)."""

    def __init__(self, video: VideoModel, tokens: Sequence[torch.Tensor]) -> None:
        """`tokens` are the pooled tokens (1, 1, D) of all wordings."""
        super().__init__()
        self.video, self._showing = video, Showing(video.config, tokens)

    def forward(self, batch: Tensors) -> torch.Tensor:
        """Loss of a batch of `ClipBatches`: a scalar, float32; noise is drawn from the batch's seed."""
        random = torch.Generator(batch["clean"].device).manual_seed(int(batch["seed"][0]))
        with plain_on_cpu(batch["clean"]):
            shown = self._showing(batch, random)
            clean, _ = self.video.denoise(shown.noisy, shown.s, shown.given)
            return shown.error(clean, batch["clean"])
