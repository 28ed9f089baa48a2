"""A Video Policy's checkpoint folder, and the untrained policy drawn from a seed. Called by runtime/policy and training.

A folder holds the same files as Video2Act's (models/checkpoint.py). Legend: J joints.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from models import checkpoint_folder, families, normalize
from models.errors import ModelError
from models.identity import About, checkpoint_id, stored_config, stored_needs
from models.normalize import Statistics
from models.placement import hollow, place
from models.stored_networks import StoredNetworks
from models.video_policy.config import VideoPolicyConfig

if TYPE_CHECKING:  # each process imports only its own part's libraries: they take seconds
    from models.video_policy.chunk_maker import ChunkMaker
    from models.video_policy.imaginer import Imaginer
    from models.video_policy.instructor import PooledInstructor
    from models.video_policy.video_model import VideoModel

CPU = torch.device("cpu")
IMAGINATION, ACTION, TEXT = "imagination.", "action.", "text."  # before the names of a checkpoint's tensors
VIDEO = f"{IMAGINATION}video."  # that of the video model, left out where it is as it was published
_PARTS = {IMAGINATION: 1, ACTION: 2, TEXT: 3}  # chosen, as for Video2Act: no two parts share random numbers


class VideoPolicyCheckpoint:
    """Where both systems and the text encoder get configuration, weights and statistics from.

    Networks are made when they are asked for: opening a checkpoint reads no weights.
    """

    def __init__(self, config: VideoPolicyConfig, statistics: Statistics, folder: Path | None, seed: int) -> None:
        self.config, self.statistics = config, statistics
        self._networks = StoredNetworks(folder, seed)
        self.id = checkpoint_id(config, folder, seed)
        self.needs = families.needs_of(config) if folder is None else stored_needs(folder, config)

    @classmethod
    def untrained(
        cls, config: VideoPolicyConfig, seed: int, rest: NDArray[np.float64], reach: NDArray[np.float64]
    ) -> "VideoPolicyCheckpoint":
        """A policy that nobody trained, drawn from the seed; its targets stay within `reach` (J,) of the pose `rest` (J,)."""
        return cls(config, normalize.untrained(config.action.targets, rest, reach), None, seed)

    @classmethod
    def load(cls, folder: Path, config: VideoPolicyConfig | None = None) -> "VideoPolicyCheckpoint":
        """Open a folder; `config` takes the place of its own configuration. Raises ModelError with what is wrong in it."""
        found = config or stored_config(folder)
        if not isinstance(found, VideoPolicyConfig):
            raise ModelError(f"checkpoint {folder}: is of Video2Act; give a Video Policy")
        statistics = checkpoint_folder.statistics_of(folder, (found.action.targets, found.action.joints))
        return cls(found, statistics, folder, 0)

    def imaginer(self, device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> "Imaginer":
        """System 2 on a device, without gradients. Raises ModelError for weights that are not there."""
        from models.video_policy.imagination import Imagination
        from models.video_policy.imaginer import Imaginer

        self._networks.draw(_PARTS[IMAGINATION])
        video = self._published_video(dtype)
        made = self._networks.ready(IMAGINATION, lambda: Imagination(self.config, video), video, device, dtype)
        return Imaginer(made)

    def video_model(self, device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> "VideoModel":
        """The video model alone, without gradients: what stage 1 of training leaves, or begins with. Raises ModelError."""
        from models.video_policy.video_model import VideoModel

        self._networks.draw(_PARTS[IMAGINATION])
        if (published := self._published_video(dtype)) is not None:
            return place(published.eval().requires_grad_(False), device, dtype)
        return self._networks.ready(VIDEO, lambda: VideoModel(self.config), None, device, dtype)

    def _published_video(self, dtype: torch.dtype) -> "VideoModel | None":
        """The video model with its published weights; None where it has none, or where the folder holds its own of them."""
        if self.config.published.video_unet is None or self._networks.holds(VIDEO):
            return None
        from models.video_policy.video_model import VideoModel

        with hollow():
            video = VideoModel(self.config)
        video.load_published(dtype)
        return video

    def chunk_maker(self, device: torch.device = CPU, dtype: torch.dtype = torch.float32) -> "ChunkMaker":
        """System 1 on a device, without gradients. Raises ModelError for weights that are not there."""
        from models.video_policy.action_sampler import ActionSampler
        from models.video_policy.chunk_maker import ChunkMaker

        self._networks.draw(_PARTS[ACTION])
        sampler = self._networks.ready(ACTION, lambda: ActionSampler(self.config), None, device, dtype)
        return ChunkMaker(sampler, self.statistics)

    def instructor(self) -> "PooledInstructor":
        """The text encoder, float32 on the CPU; a published one is loaded only when it encodes."""
        from models.video_policy.instructor import PooledInstructor

        self._networks.draw(_PARTS[TEXT])
        return self._networks.ready(TEXT, lambda: PooledInstructor(self.config), None, CPU, torch.float32)

    def count(self, part: str) -> int:
        """How many numbers are stored under a prefix; reads no weights. Of a policy that nobody trained: 0."""
        return self._networks.count(part)


def save(
    folder: Path,
    config: VideoPolicyConfig,
    statistics: Statistics,
    networks: Mapping[str, torch.nn.Module],
    video_trained: bool,
    data: str = "",
) -> None:
    """Write a checkpoint folder, whole or not at all.

    Args:
        folder: where to.
        config: of the policy.
        statistics: of its demonstrations.
        networks: by IMAGINATION, ACTION and TEXT; by VIDEO in place of the first, where there is a video model alone.
        video_trained: whether the video model differs from the published one; else its weights are left out.
        data: JSON of what the demonstrations were taken to be.

    Raises:
        ModelError: it cannot be written; the folder stays as it was.
    """
    tensors = {f"{part}{name}": tensor for part, net in networks.items() for name, tensor in net.state_dict().items()}
    if config.has_published and not video_trained:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(VIDEO)}
    about = About(policy=families.name_of(config), needs=families.needs_of(config))
    checkpoint_folder.write(folder, config, about, statistics, tensors, data)
