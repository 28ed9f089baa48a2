"""Stage 2: adapter and action network learn on the video model, which stays frozen unless both are trained jointly.

Called by runtime/training/video_policy_stages.py through models/train/loop.py. Features are not prepared: they depend on the
noise, and one clip has 75,000 numbers at each noise level at the small size, for 14,000 of latents. The actions' loss never
changes the video model, whose features carry no gradient (FeatureUnet).
Legend: B clips, N chunks of each, H targets, J joints, F feature numbers, K cameras, S px.
"""

from collections.abc import Sequence

import torch
from torch import nn

from models.train.augmentation import augmented
from models.train.prepared import Tensors
from models.train.video import plain_on_cpu
from models.train.video_policy.choices import Acting
from models.train.video_policy.clips import Showing
from models.video_policy import edm
from models.video_policy.action_sampler import ActionSampler
from models.video_policy.imagination import Imagination
from models.video_policy.newest import Seen


class ActingLoss(nn.Module):
    """The loss of the chunks, and in joint training the video model's own, weighted."""

    def __init__(
        self, imagination: Imagination, sampler: ActionSampler, tokens: Sequence[torch.Tensor], acting: Acting
    ) -> None:
        """`tokens` are the pooled tokens (1, 1, D) of all wordings."""
        super().__init__()
        self.imagination, self.sampler, self._acting = imagination, sampler, acting
        self._showing = Showing(imagination.config, tokens)

    def forward(self, batch: Tensors) -> torch.Tensor:
        """Loss of a batch of `Observations`: a scalar, float32; all noise is drawn from the batch's seed."""
        random = torch.Generator(batch["clean"].device).manual_seed(int(batch["seed"][0]))
        with plain_on_cpu(batch["clean"]):
            shown = self._showing(batch, random)
            video, joint = self.imagination.video, self._acting.video_loss > 0
            with torch.set_grad_enabled(joint and torch.is_grad_enabled()):
                clean, places = video.denoise(shown.noisy, shown.s, shown.given)
            features = self.imagination.adapter(places, edm.scalings(shown.s).noise)
            loss = self._chunk_error(batch, shown.s, features, random)
            return loss + self._acting.video_loss * shown.error(clean, batch["clean"]) if joint else loss

    def _chunk_error(
        self, batch: Tensors, s: torch.Tensor, features: torch.Tensor, random: torch.Generator
    ) -> torch.Tensor:
        """Weighted squared error of the targets that are not committed, at the noise levels (B,) of the features (B, F)."""
        wanted = batch["targets"]
        of_clip = len(wanted) // len(s)
        s, features = s.repeat_interleave(of_clip), features.repeat_interleave(of_clip, dim=0)
        noise = torch.randn(wanted.shape, generator=random, device=wanted.device)
        committed = torch.arange(wanted.shape[1], device=wanted.device) < batch["committed"][:, None]
        moment = self.sampler.network.moment(batch["age_s"], self._seen(batch, random))
        noisy = wanted + edm.per_sample(s, wanted) * noise
        found = self.sampler.denoise(noisy, s, features, moment, wanted, committed)
        error = (found - wanted).square() * edm.per_sample(edm.weight(s), wanted)
        free = (~committed)[..., None].expand_as(error)
        return error.mul(free).sum() / free.sum().clamp(min=1)

    def _seen(self, batch: Tensors, random: torch.Generator) -> Seen | None:
        """The newest pictures, changed as they are to be learnt from, and joints; None: a network without eyes."""
        if "pictures" not in batch:
            return None
        changed = augmented(batch["pictures"][:, None], self._acting.augmentation, random)
        return Seen(changed[:, 0], batch["state"])
