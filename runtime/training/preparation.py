"""Prepares demonstrations for training: the files that models/train/prepared.py describes, one worker an episode.
Called by both stages (stages.py).

What is there is not made again; a folder's name holds a hash of everything that its files depend on.
"""

import hashlib
import itertools
import json
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch

from drivers.task_names import KEPT_FROM
from models import images
from models.checkpoint import Checkpoint
from models.config.policy import PolicyConfig
from models.data.demonstrations import Demonstration
from models.data.episode import Episode
from models.data.lerobot import INFO
from models.embedding_file import load_embedding, save_embedding
from models.errors import ModelError
from models.placement import usual_type
from models.policy import InstructionEmbedding
from models.system2 import SlowSystem
from models.tensors import StoredTensors
from models.train import prepared
from models.train.augmentation import Film
from models.train.choices import Augmentation
from runtime.datasets import fitness
from runtime.errors import RuntimeFault
from runtime.host.progress import bar
from runtime.host.worker_pool import WorkerPool
from runtime.training import needs, ranks

Kind = Literal["pictures", "samples", "latents", "features"]


@dataclass(frozen=True)
class Job:
    """One file to make, and everything that a worker has to know for it."""

    kind: Kind
    source: Demonstration
    out: Path
    config: str  # JSON of the policy's configuration
    video: Path | None  # checkpoint of stage 1
    device: str
    seed: int
    changed: str = ""  # JSON of how pictures are changed; empty: not at all
    latents: Path | None = None  # that features are made of,
    texts: tuple[Path, ...] = ()  # and its wordings, encoded


class Preparation:
    """Makes and finds prepared files. `video`: the checkpoint of stage 1, None for published or drawn weights.

    Version 0 of latents and features is of the pictures as they are, each other one of pictures changed as `augmentation` says.
    """

    def __init__(
        self, pool: WorkerPool, cache: Path, config: PolicyConfig, video: Path | None, device: str, seed: int,
        augmentation: Augmentation | None = None,
    ) -> None:  # fmt: skip
        self._pool, self._cache, self._config, self._video = pool, cache, config, video
        self._device = device
        self._seed = seed if video is None else 0  # weights that are missing are drawn from it; all else is alike
        self._augmentation = Augmentation() if augmentation is None else augmentation
        self._hashes: dict[Kind | Literal["texts"], str] = {}

    def make(self, kind: Kind, demonstrations: Sequence[Demonstration], version: int = 0) -> list[Path]:
        """The files of one kind, made where they are missing. Raises ModelError for the first unfit demonstration."""
        if kind == "features":
            self.texts([text for demonstration in demonstrations for text in demonstration.texts])
        jobs = [self._job(kind, demonstration, version) for demonstration in demonstrations]
        missing = [job for job in jobs if not job.out.exists()]
        if missing and not ranks.first_here():
            ranks.wait_for([job.out for job in missing])
        elif missing:
            with bar(
                len(jobs),
                f"{kind}{f', version {version}' if version else ''}",
                "episode",
                initial=len(jobs) - len(missing),
            ) as progress:
                for refused in self._pool.results(prepare, missing):
                    if refused is not None:
                        raise RuntimeFault(refused)
                    progress.update()
        return [job.out for job in jobs]

    def check_room(self, demonstrations: Sequence[Demonstration], versions: int) -> None:
        """Check the disk before hours go into features. Raises RuntimeFault when the missing ones do not fit."""
        every = itertools.product(demonstrations, range(versions))
        missing = [one.steps for one, version in every if not self._path("features", one, version).exists()]
        if ranks.first_here():
            needs.check_disk(self._config, missing, self._cache)

    def texts(self, wordings: Sequence[str]) -> list[InstructionEmbedding]:
        """The wordings, encoded; once for all processes and trainings, since published encoders are tens of gigabytes."""
        files = {text: self._text_file(text) for text in wordings}
        missing = [text for text, file in files.items() if not file.exists()]
        if missing and not ranks.first_here():
            ranks.wait_for([files[text] for text in missing])
        elif missing:
            encoded = open_video(self._config, self._video, self._seed).instructor().encode(missing)
            for text, embedding in zip(missing, encoded, strict=True):
                files[text].parent.mkdir(parents=True, exist_ok=True)
                save_embedding(files[text], embedding)
        return [load_embedding(files[text]) for text in wordings]

    def _text_file(self, text: str) -> Path:
        if "texts" not in self._hashes:
            config = self._config
            read_by = (config.text.model_dump(), config.published.model_dump(), config.video.backbone.model_dump())
            own = [] if self._video is None else [StoredTensors(self._video).digest("text.")]
            self._hashes["texts"] = _hash(*read_by, self._seed, *own)
        return self._cache / f"texts-{self._hashes['texts']}" / f"{_hash(text)}.safetensors"

    def _job(self, kind: Kind, demonstration: Demonstration, version: int) -> Job:
        config, out = self._config.model_dump_json(), self._path(kind, demonstration, version)
        changed = self._augmentation.model_dump_json() if version else ""
        job = Job(kind, demonstration, out, config, self._video, self._device, self._seed, changed)
        if kind != "features":
            return job
        texts = tuple(self._text_file(text) for text in demonstration.texts)
        return replace(job, latents=self._path("latents", demonstration, version), texts=texts)

    def _path(self, kind: Kind, source: Demonstration, version: int = 0) -> Path:
        reported = source.path.stat()
        size = f"{reported.st_size}-{reported.st_mtime_ns}" if source.path.is_file() else source.steps
        which: list[object] = []
        if source.index is not None:  # of a dataset that may have been made again
            which = [source.index, (source.path / INFO).stat().st_mtime_ns]
        if version:
            which += [version, self._augmentation.model_dump_json()]
        if kind == "features":
            which += source.texts  # each window was read with one of them, which is kept by its number
        if changes := source.conventions.changes():
            which += changes
        stem = f"{source.path.stem}-{_hash(str(source.path.resolve()), str(size), *which)[:8]}"
        if kind not in self._hashes:
            self._hashes[kind] = self._depends(kind)
        return self._cache / f"{kind}-{self._hashes[kind]}" / source.task / f"{stem}.safetensors"

    def _depends(self, kind: Kind) -> str:
        """A hash of what files of this kind depend on."""
        config = self._config
        if kind == "pictures":
            seen = (images.method(config.eyes_resize), config.cameras, config.image.image_px)
            return _hash(*seen, prepared.history_steps(config), config.action_source)
        common, video = (images.method(config.resize), config.cameras), config.video
        windows = [video.high.model_dump(), video.low.model_dump()]
        if kind == "samples":
            return _hash(*common, *windows)
        if kind == "latents":  # the same for every depth of the video model
            backbone = video.backbone.model_dump()
            autoencoder = {
                name: value for name, value in backbone.items() if name.startswith(("kind", "vae", "latent"))
            }
            return _hash(
                *common, prepared.WINDOW_EVERY, *windows, video.encoding, autoencoder, self._weights(kind), self._seed
            )
        filtered = config.filters.model_dump() if config.filters.place == "latents" else None
        return _hash(*common, prepared.WINDOW_EVERY, video.model_dump(), self._weights(kind), self._seed, filtered)

    def _weights(self, kind: Kind) -> list[str]:
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
    seed = int(_hash(job.seed, job.out.name)[:8], 16)
    try:
        if job.kind == "features":
            assert job.latents is not None
            slow = _slow(job)
            read = [_text(path).video for path in job.texts]
            stored = prepared.Prepared(job.latents)
            made = prepared.features({name: stored[name] for name in ("high", "low")}, slow, read, seed)
        else:
            makers: dict[Kind, Callable[[], prepared.Tensors]] = {
                "pictures": lambda: prepared.pictures(_episode(job.source), config),
                "samples": lambda: prepared.samples(_episode(job.source), config, seed),
                "latents": lambda: prepared.latents(_episode(job.source), _slow(job), _changed(job, seed)),
            }
            made = makers[job.kind]()
    except ModelError as error:
        where = "" if str(job.source.path) in str(error) else f"{job.source.path}: "
        return f"{where}{error}"
    prepared.write(job.out, made)
    return None


def _changed(job: Job, seed: int) -> prepared.Changed | None:
    """What changes this episode's pictures, if anything does."""
    return Film(Augmentation.model_validate_json(job.changed), seed).changed if job.changed else None


def _episode(source: Demonstration) -> Episode:
    """Read a demonstration. Raises ModelError for a scene that is kept for evaluation: success on it would tell nothing."""
    episode = source.read()
    if episode.seed >= KEPT_FROM:
        raise ModelError(f"{source.path}: scene {episode.seed} is kept for evaluation; delete the file")
    fitness.check_range(episode, source.name)
    return episode


def open_video(config: PolicyConfig, video: Path | None, seed: int) -> Checkpoint:
    """The checkpoint of stage 2's video model and text encoders: stage 1's, published weights, or drawn from a seed."""
    if video is not None:
        return Checkpoint.load(video, config)
    joints = torch.zeros(config.joints).double().numpy()
    return Checkpoint.untrained(config, seed, joints, joints + 1)


def _slow(job: Job) -> SlowSystem:
    """This worker's System 2; loading it takes longer than an episode."""
    return _loaded(job.config, job.video, _own_device(job.device), job.seed)


@lru_cache(maxsize=1)
def _loaded(config: str, video: Path | None, device: str, seed: int) -> SlowSystem:
    understood, place = PolicyConfig.model_validate_json(config), torch.device(device)
    return open_video(understood, video, seed).slow_to_train(seed, place, usual_type(understood, place))


def _own_device(device: str) -> str:
    """The device of this worker: workers share the GPUs out among themselves, by their number."""
    if device != "cuda":
        return device
    number = multiprocessing.current_process().name.rpartition("-")[2]
    return f"cuda:{(int(number) if number.isdigit() else 0) % torch.cuda.device_count()}"


@lru_cache(maxsize=256)
def _text(path: Path) -> InstructionEmbedding:
    return load_embedding(path)


def _hash(*values: object) -> str:
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()[:16]
