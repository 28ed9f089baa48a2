"""System 1 of Video Policy as the runtime uses it: features, joints and, with eyes, pictures in; a chunk of targets out.

Made by checkpoint.py; called by runtime/policy. Legend: S denoising steps, G feature sets, F feature numbers, H targets,
J joints, K cameras, P px of a picture.
"""

from collections import OrderedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from models import images
from models.normalize import Statistics
from models.placement import sent
from models.policy import Pictures
from models.video_policy.action_sampler import ActionSampler
from models.video_policy.newest import Seen

_KEPT = 8  # sets of pictures; chosen, as for Video2Act


class ChunkMaker:
    """The action network with its sampler and statistics."""

    def __init__(self, sampler: ActionSampler, statistics: Statistics) -> None:
        self.config, self.sampler, self.statistics = sampler.config, sampler, statistics
        self._sets: OrderedDict[tuple[int, ...], torch.Tensor] = OrderedDict()

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.sampler.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        return next(self.sampler.parameters()).dtype

    @property
    def weights(self) -> int:
        """How many numbers it has learnt."""
        return sum(weight.numel() for weight in self.sampler.parameters())

    def has(self, key: tuple[int, ...]) -> bool:
        """Whether a set of pictures is kept."""
        return key in self._sets

    @torch.inference_mode()
    def prepare(self, pictures: Pictures) -> torch.Tensor:
        """One set's pictures as the eyes take them, (1, K, 3, P, P); without eyes nothing of them, (0,)."""
        eyes = self.config.action.eyes
        if eyes is None:
            return torch.empty(0)
        resized = [
            images.resize(images.to_tensor(one, self.device), eyes.image_px, eyes.image_px, "crop") for one in pictures
        ]
        return torch.stack(resized, dim=1).to(self.dtype)

    def keep(self, key: tuple[int, ...], prepared: torch.Tensor) -> None:
        """Keep a set, of `prepare`, for a few chunks."""
        self._sets.setdefault(key, prepared)
        while len(self._sets) > _KEPT:
            self._sets.popitem(last=False)

    def clear(self) -> None:
        """Forget all sets, at a new episode: its frame numbers may be those of other pictures."""
        self._sets.clear()

    @torch.inference_mode()
    def predict_chunk(
        self,
        key: tuple[int, ...],
        q: NDArray[np.float64],
        features: torch.Tensor,
        age_s: float,
        prefix: NDArray[np.floating],
        noise_seed: int,
    ) -> NDArray[np.float32]:
        """A chunk of joint targets; the same arguments give the same bytes.

        Args:
            key: of the newest set of pictures, which was kept.
            q: (J,) the joints now, rad, gripper m.
            features: (S, G, F) of the newest clip.
            age_s: from its newest picture to the set's, and the little that it takes to begin, s.
            prefix: (n, J) targets that are committed already, rad and m; n from 0 to H.
            noise_seed: draws the noise that denoising begins with.

        Returns:
            (H, J) float32, rad, gripper m, within the checkpoint's ranges; the first n are the prefix, unchanged.
        """
        chosen, device = self.config.action, self.device
        noise = torch.randn((1, chosen.targets, chosen.joints), generator=torch.Generator().manual_seed(noise_seed))
        known = functional.pad(self.statistics.normalize(prefix, q)[None], (0, 0, 0, chosen.targets - len(prefix)))
        committed = torch.arange(chosen.targets) < len(prefix)
        made = self.sampler.sample(
            sent(features[None], device).to(self.dtype),
            self.sampler.network.moment(sent(torch.tensor([age_s]), device), self._seen(key, q)),
            sent(noise, device), sent(known, device), sent(committed[None], device),
        )  # fmt: skip
        targets = self.statistics.denormalize(made[0], q)
        targets[: len(prefix)] = prefix
        return targets

    def _seen(self, key: tuple[int, ...], q: NDArray[np.float64]) -> Seen | None:
        if self.config.action.eyes is None:
            return None
        return Seen(self._sets[key], sent(self.statistics.normalize_state(q)[None], self.device).to(self.dtype))

    def warm_up(self) -> NDArray[np.float32]:
        """Make a chunk of zeros, so that the first real one is not the slowest; leaves no trace. Returns the chunk, (H, J)."""
        config, joints = self.config, self.config.action.joints
        eyes = config.action.eyes
        black = np.zeros((eyes.image_px, eyes.image_px, 3) if eyes else (1, 1, 3), np.uint8)
        self.keep((0,), self.prepare((black,) * len(config.clip.cameras)))
        features = torch.zeros(config.diffusion.steps, config.feature_sets, config.feature_width)
        chunk = self.predict_chunk((0,), np.zeros(joints), features, 0.0, np.zeros((0, joints)), 0)
        self.clear()
        return chunk
