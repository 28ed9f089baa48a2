"""Prepares demonstrations for Video Policy: the files that models/train/video_policy/recorded.py describes.
Called by both stages (video_policy_stages.py).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch

from models import images, normalize
from models.errors import ModelError
from models.placement import usual_type
from models.policy import InstructionEmbedding
from models.tensors import StoredTensors
from models.train import prepared
from models.train.choices import Augmentation
from models.train.video_policy import recorded
from models.video_policy.checkpoint import TEXT, VIDEO, VideoPolicyCheckpoint
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.video_model import VideoModel
from runtime.host.worker_pool import WorkerPool
from runtime.training.prepared_files import Job, PreparedFiles, episode_of, hashed, own_device, refusal_of


class ClipPreparation(PreparedFiles):
    """samples, latents and joints; latents come in versions. The targets' source is a part of the kind: joints_leader."""

    def __init__(
        self, pool: WorkerPool, cache: Path, config: VideoPolicyConfig, video: Path | None, device: str, seed: int,
        augmentation: Augmentation | None = None,
    ) -> None:  # fmt: skip
        super().__init__(pool, cache, config, video, device, seed, augmentation)
        self._config = config

    def _depends(self, kind: str) -> str:
        config = self._config
        clip, method = config.clip, images.method("crop")
        if kind.startswith("joints"):
            eyes = config.action.eyes
            return hashed(*(() if eyes is None else (method, clip.cameras, eyes.image_px)))
        common = (method, clip.cameras, clip.height_px, clip.width_px)
        if kind == "samples":
            return hashed(*common, clip.frames, clip.stride)
        published = str(config.published.video_unet)
        own = [] if self._video is None else [StoredTensors(self._video).digest(f"{VIDEO}vae.")]
        return hashed(*common, clip.augmentation, config.autoencoder.model_dump(), published, self._seed, *own)

    def _texts_depend(self) -> str:
        config = self._config
        own = [] if self._video is None else [StoredTensors(self._video).digest(TEXT)]
        return hashed("video-policy", config.text.model_dump(), str(config.published.clip_text), self._seed, *own)

    def _encode(self, wordings: Sequence[str]) -> list[InstructionEmbedding]:
        return open_video(self._config, self._video, self._seed).instructor().encode(wordings)

    @property
    def _worker(self) -> Callable[[Job], str | None]:
        return prepare


def prepare(job: Job) -> str | None:
    """Make one file, in a worker. Returns why the demonstration is unfit, or None."""
    torch.set_num_threads(1)
    config, seed = VideoPolicyConfig.model_validate_json(job.config), job.own_seed
    makers: dict[str, Callable[[], prepared.Tensors]] = {
        "samples": lambda: recorded.samples(episode_of(job.source), config, seed),
        "latents": lambda: recorded.latents(episode_of(job.source), _video(job), seed, job.augmentation),
        "joints_leader": lambda: recorded.joints(episode_of(job.source), config, "leader"),
        "joints_follower": lambda: recorded.joints(episode_of(job.source), config, "follower"),
    }
    try:
        made = makers[job.kind]()
    except ModelError as error:
        return refusal_of(job, error)
    prepared.write(job.out, made)
    return None


def open_video(config: VideoPolicyConfig, video: Path | None, seed: int) -> VideoPolicyCheckpoint:
    """Where video model and text encoder come from: stage 1's checkpoint, published weights, or drawn from a seed.

    Statistics are placeholders: stage 2 may make other chunks than the size that stage 1 was begun with.
    """
    joints = torch.zeros(config.action.joints).double().numpy()
    placeholder = normalize.untrained(config.action.targets, joints, joints + 1)
    return VideoPolicyCheckpoint(config, placeholder, video, seed)


def _video(job: Job) -> VideoModel:
    """This worker's video model; loading it takes longer than an episode."""
    return _loaded(job.config, job.video, own_device(job.device), job.seed)


@lru_cache(maxsize=1)
def _loaded(config: str, video: Path | None, device: str, seed: int) -> VideoModel:
    understood, place = VideoPolicyConfig.model_validate_json(config), torch.device(device)
    return open_video(understood, video, seed).video_model(place, usual_type(understood, place))
