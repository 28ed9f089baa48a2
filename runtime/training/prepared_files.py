"""Prepared files of demonstrations and of their instructions: one worker an episode, and what is there is not made again.

Base of what each family prepares (preparation.py, clip_preparation.py). A folder's name holds a hash of everything that its
files depend on.
"""

import hashlib
import json
import multiprocessing
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from drivers.task_names import KEPT_FROM
from models.data.demonstrations import Demonstration
from models.data.episode import Episode
from models.data.lerobot import INFO
from models.embedding_file import load_embedding, save_embedding
from models.errors import ModelError
from models.families import Config
from models.policy import InstructionEmbedding
from models.train.choices import Augmentation
from runtime.datasets import fitness
from runtime.errors import RuntimeFault
from runtime.host.progress import bar
from runtime.host.worker_pool import WorkerPool
from runtime.training import ranks


@dataclass(frozen=True)
class Job:
    """One file to make, and everything that a worker has to know for it."""

    kind: str
    source: Demonstration
    out: Path
    config: str  # JSON of the policy's configuration
    video: Path | None  # checkpoint of stage 1
    device: str
    seed: int
    changed: str = ""  # JSON of how pictures are changed; empty: not at all
    latents: Path | None = None  # that features are made of,
    texts: tuple[Path, ...] = ()  # and its wordings, encoded

    @property
    def own_seed(self) -> int:
        """Of this file's random numbers."""
        return int(hashed(self.seed, self.out.name)[:8], 16)

    @property
    def augmentation(self) -> Augmentation | None:
        """How pictures are changed; None: not at all."""
        return Augmentation.model_validate_json(self.changed) if self.changed else None


class PreparedFiles(ABC):
    """Makes and finds prepared files. `video`: the checkpoint of stage 1, None for published or drawn weights.

    Version 0 is of the pictures as they are, each other one of pictures changed as `augmentation` says.
    """

    def __init__(
        self, pool: WorkerPool, cache: Path, config: Config, video: Path | None, device: str, seed: int,
        augmentation: Augmentation | None,
    ) -> None:  # fmt: skip
        self._pool, self._cache, self._video, self._device = pool, cache, video, device
        self._stated = config.model_dump_json()
        self._seed = seed if video is None else 0  # weights that are missing are drawn from it; all else is alike
        self._augmentation = Augmentation() if augmentation is None else augmentation
        self._hashes: dict[str, str] = {}

    @abstractmethod
    def _depends(self, kind: str) -> str:
        """A hash of what files of this kind depend on."""
        ...

    @abstractmethod
    def _texts_depend(self) -> str:
        """A hash of what encoded instructions depend on."""
        ...

    @abstractmethod
    def _encode(self, wordings: Sequence[str]) -> list[InstructionEmbedding]:
        """Encode instructions."""
        ...

    def _job(self, kind: str, demonstration: Demonstration, version: int) -> Job:
        changed = self._augmentation.model_dump_json() if version else ""
        out = self._path(kind, demonstration, version)
        return Job(kind, demonstration, out, self._stated, self._video, self._device, self._seed, changed)

    @property
    @abstractmethod
    def _worker(self) -> Callable[[Job], str | None]:
        """What makes one file, in a process of its own. It returns why the demonstration is unfit, or None."""
        ...

    def make(self, kind: str, demonstrations: Sequence[Demonstration], version: int = 0) -> list[Path]:
        """The files of one kind, made where they are missing. Raises RuntimeFault for the first unfit demonstration."""
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
                for refused in self._pool.results(self._worker, missing):
                    if refused is not None:
                        raise RuntimeFault(refused)
                    progress.update()
        return [job.out for job in jobs]

    def texts(self, wordings: Sequence[str]) -> list[InstructionEmbedding]:
        """The wordings, encoded; once for all processes and trainings, since published encoders are tens of gigabytes."""
        files = {text: self._text_file(text) for text in wordings}
        missing = [text for text, file in files.items() if not file.exists()]
        if missing and not ranks.first_here():
            ranks.wait_for([files[text] for text in missing])
        elif missing:
            for text, embedding in zip(missing, self._encode(missing), strict=True):
                files[text].parent.mkdir(parents=True, exist_ok=True)
                save_embedding(files[text], embedding)
        return [load_embedding(files[text]) for text in wordings]

    def _text_file(self, text: str) -> Path:
        if "texts" not in self._hashes:
            self._hashes["texts"] = self._texts_depend()
        return self._cache / f"texts-{self._hashes['texts']}" / f"{hashed(text)}.safetensors"

    def _path(self, kind: str, source: Demonstration, version: int = 0) -> Path:
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
        stem = f"{source.path.stem}-{hashed(str(source.path.resolve()), str(size), *which)[:8]}"
        if kind not in self._hashes:
            self._hashes[kind] = self._depends(kind)
        return self._cache / f"{kind}-{self._hashes[kind]}" / source.task / f"{stem}.safetensors"


def episode_of(source: Demonstration) -> Episode:
    """Read a demonstration. Raises ModelError for a scene that is kept for evaluation: success on it would tell nothing."""
    episode = source.read()
    if episode.seed >= KEPT_FROM:
        raise ModelError(f"{source.path}: scene {episode.seed} is kept for evaluation; delete the file")
    fitness.check_range(episode, source.name)
    return episode


def refusal_of(job: Job, error: ModelError) -> str:
    """Why a demonstration is unfit, with its file's name."""
    where = "" if str(job.source.path) in str(error) else f"{job.source.path}: "
    return f"{where}{error}"


def own_device(device: str) -> str:
    """The device of this worker: workers share the GPUs out among themselves, by their number."""
    if device != "cuda":
        return device
    number = multiprocessing.current_process().name.rpartition("-")[2]
    return f"cuda:{(int(number) if number.isdigit() else 0) % torch.cuda.device_count()}"


def hashed(*values: object) -> str:
    """16 hexadecimal digits of a hash of values."""
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()[:16]
