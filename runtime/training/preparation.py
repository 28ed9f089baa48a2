"""Prepares demonstrations for training: the files that models/train/prepared.py describes, one worker an episode.
Called by both stages (stages.py).

What is there is not made again; a folder's name holds a hash of everything that its files depend on.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

import torch

from models import images
from models.checkpoint import Checkpoint
from models.config.policy import PolicyConfig
from models.data.demonstrations import Demonstration
from models.embedding_file import load_embedding
from models.errors import ModelError
from models.placement import usual_type
from models.policy import InstructionEmbedding
from models.system2 import SlowSystem
from models.tensors import StoredTensors
from models.train import prepared
from models.train.augmentation import Film
from models.train.choices import Augmentation
from runtime.host.worker_pool import WorkerPool
from runtime.training import needs, ranks
from runtime.training.prepared_files import Job, PreparedFiles, episode_of, hashed, own_device, refusal_of

Kind = Literal["pictures", "samples", "latents", "features"]


class Preparation(PreparedFiles):
    """Those of Video2Act; latents and features come in versions."""

    def __init__(
        self, pool: WorkerPool, cache: Path, config: PolicyConfig, video: Path | None, device: str, seed: int,
        augmentation: Augmentation | None = None,
    ) -> None:  # fmt: skip
        super().__init__(pool, cache, config, video, device, seed, augmentation)
        self._config = config

    def make(self, kind: str, demonstrations: Sequence[Demonstration], version: int = 0) -> list[Path]:
        """As the base; features also need the instructions."""
        if kind == "features":
            self.texts([text for demonstration in demonstrations for text in demonstration.texts])
        return super().make(kind, demonstrations, version)

    def check_room(self, demonstrations: Sequence[Demonstration], versions: int) -> None:
        """Check the disk before hours go into features. Raises RuntimeFault when the missing ones do not fit."""
        every = itertools.product(demonstrations, range(versions))
        missing = [one.steps for one, version in every if not self._path("features", one, version).exists()]
        if ranks.first_here():
            needs.check_disk(self._config, missing, self._cache)

    def _encode(self, wordings: Sequence[str]) -> list[InstructionEmbedding]:
        return open_video(self._config, self._video, self._seed).instructor().encode(wordings)

    def _texts_depend(self) -> str:
        config = self._config
        read_by = (config.text.model_dump(), config.published.model_dump(), config.video.backbone.model_dump())
        own = [] if self._video is None else [StoredTensors(self._video).digest("text.")]
        return hashed(*read_by, self._seed, *own)

    @property
    def _worker(self) -> Callable[[Job], str | None]:
        return prepare

    def _job(self, kind: str, demonstration: Demonstration, version: int) -> Job:
        job = super()._job(kind, demonstration, version)
        if kind != "features":
            return job
        texts = tuple(self._text_file(text) for text in demonstration.texts)
        return replace(job, latents=self._path("latents", demonstration, version), texts=texts)

    def _depends(self, kind: str) -> str:
        config = self._config
        if kind == "pictures":
            seen = (images.method(config.eyes_resize), config.cameras, config.image.image_px)
            return hashed(*seen, prepared.history_steps(config), config.action_source)
        common, video = (images.method(config.resize), config.cameras), config.video
        windows = [video.high.model_dump(), video.low.model_dump()]
        if kind == "samples":
            return hashed(*common, *windows)
        if kind == "latents":  # the same for every depth of the video model
            backbone = video.backbone.model_dump()
            autoencoder = {
                name: value for name, value in backbone.items() if name.startswith(("kind", "vae", "latent"))
            }
            return hashed(
                *common, prepared.WINDOW_EVERY, *windows, video.encoding, autoencoder, self._weights(kind), self._seed
            )
        filtered = config.filters.model_dump() if config.filters.place == "latents" else None
        return hashed(*common, prepared.WINDOW_EVERY, video.model_dump(), self._weights(kind), self._seed, filtered)

    def _weights(self, kind: str) -> list[str]:
        """Ids of the weights that files of this kind depend on; for latents those of the VAE alone, which stage 1 trains
        first.
        """
        published = self._config.published
        sources = [str(published.video), str(published.text) if kind == "features" else ""]
        if kind == "features" and published.transformer is not None:
            sources.append(str(published.transformer))
        if self._video is None:
            return sources
        stored = StoredTensors(self._video)
        prefixes = ("slow.backbone.vae.",) if kind == "latents" else ("slow.backbone.", "text.")
        return [*sources, *(stored.digest(prefix) for prefix in prefixes)]


def prepare(job: Job) -> str | None:
    """Make one file, in a worker. Returns why the demonstration is unfit, or None."""
    torch.set_num_threads(1)
    config = PolicyConfig.model_validate_json(job.config)
    seed = job.own_seed
    try:
        if job.kind == "features":
            assert job.latents is not None
            slow = _slow(job)
            read = [_text(path).video for path in job.texts]
            stored = prepared.Prepared(job.latents)
            made = prepared.features({name: stored[name] for name in ("high", "low")}, slow, read, seed)
        else:
            makers: dict[Kind, Callable[[], prepared.Tensors]] = {
                "pictures": lambda: prepared.pictures(episode_of(job.source), config),
                "samples": lambda: prepared.samples(episode_of(job.source), config, seed),
                "latents": lambda: prepared.latents(episode_of(job.source), _slow(job), _changed(job, seed)),
            }
            made = makers[cast(Kind, job.kind)]()
    except ModelError as error:
        return refusal_of(job, error)
    prepared.write(job.out, made)
    return None


def _changed(job: Job, seed: int) -> prepared.Changed | None:
    """What changes this episode's pictures, if anything does."""
    return None if (chosen := job.augmentation) is None else Film(chosen, seed).changed


def open_video(config: PolicyConfig, video: Path | None, seed: int) -> Checkpoint:
    """The checkpoint of stage 2's video model and text encoders: stage 1's, published weights, or drawn from a seed."""
    if video is not None:
        return Checkpoint.load(video, config)
    joints = torch.zeros(config.joints).double().numpy()
    return Checkpoint.untrained(config, seed, joints, joints + 1)


def _slow(job: Job) -> SlowSystem:
    """This worker's System 2; loading it takes longer than an episode."""
    return _loaded(job.config, job.video, own_device(job.device), job.seed)


@lru_cache(maxsize=1)
def _loaded(config: str, video: Path | None, device: str, seed: int) -> SlowSystem:
    understood, place = PolicyConfig.model_validate_json(config), torch.device(device)
    return open_video(understood, video, seed).slow_to_train(seed, place, usual_type(understood, place))


@lru_cache(maxsize=256)
def _text(path: Path) -> InstructionEmbedding:
    return load_embedding(path)
