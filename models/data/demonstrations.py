"""Demonstrations under a folder, whatever their format: HDF5 files and LeRobot datasets.

Called by runtime/training, and by runtime/replay/on_robot.py for a demonstration that the arms follow.
"""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from models.data import demonstration_files, hdf5
from models.data.conventions import OURS, Conventions
from models.data.episode import EXPERT, Episode
from models.data.hdf5 import About
from models.data.lerobot import Dataset
from models.data.reading import AS_IT_COMES, Reading
from models.errors import ModelError


@dataclass(frozen=True)
class Demonstration:
    """Where a demonstration lies, and what it is about; its pictures are read when they are needed."""

    path: Path  # of the file, or of the dataset
    index: int | None  # in the dataset
    task: str
    texts: tuple[str, ...]
    steps: int
    conventions: Conventions = OURS
    reading: Reading = AS_IT_COMES
    kind: str = EXPERT
    success: bool | None = None  # None: nobody judged

    @property
    def name(self) -> str:
        """Its path, and its number in a dataset."""
        return str(self.path) if self.index is None else f"{self.path} episode {self.index}"

    def unfit(self) -> str:
        """Why no policy may learn from it, though the video model may; empty: it may."""
        if self.kind != EXPERT:
            return f"film ({self.kind})"
        return "failure" if self.success is False else ""

    def read(self) -> Episode:
        """Read joints and pictures, checked. Raises ModelError that names the source and what makes it unfit."""
        if self.index is None:
            return hdf5.read(self.path, self.reading)
        return _dataset(self.path, self.reading).read(self.index)


def find(folder: Path, reading: Reading = AS_IT_COMES, bad: list[str] | None = None) -> list[Demonstration]:
    """All demonstrations under a folder: files by path, then datasets.

    Args:
        folder: That holds them, at any depth.
        reading: What flags say of them.
        bad: Takes a line for each that cannot be read, which is left out; None: the first one is raised.

    Raises:
        ModelError: There is none, or one that cannot be read.
    """
    found: list[Demonstration] = []
    for path in demonstration_files.hdf5_files(folder):
        with _named(bad):
            found.append(_made(path, None, hdf5.about(path, reading), reading))
    for path in demonstration_files.datasets(folder):
        with _named(bad):
            dataset = _dataset(path, reading)
            for index in dataset.rows:
                with _named(bad):
                    found.append(_made(path, index, dataset.about(index), reading))
    if not found and not bad:
        raise ModelError(f"{folder}: {demonstration_files.NONE}")
    return found


@contextmanager
def _named(bad: list[str] | None) -> Generator[None]:
    """Within, what is wrong becomes a line of `bad`; without a list it is raised."""
    try:
        yield
    except ModelError as error:
        if bad is None:
            raise
        bad.append(str(error))


def _made(path: Path, index: int | None, about: About, reading: Reading) -> Demonstration:
    return Demonstration(
        path, index, about.task, about.texts, about.steps, about.conventions, reading, about.kind, about.success
    )


def to_learn_from(found: list[Demonstration], folder: Path) -> list[Demonstration]:
    """Those of a folder's demonstrations whose actions do the task. Raises ModelError where there are none."""
    kept = [demonstration for demonstration in found if not demonstration.unfit()]
    if not kept:
        raise ModelError(
            f"{folder}: holds only {unfit(found)}, which train.sh video may use; create demonstrations with ./launch/demos.sh"
        )
    return kept


def unfit(found: list[Demonstration]) -> str:
    """How many of them no policy may learn from, by what they are: `2 failures, 1 film (chance)`; empty: none."""
    counts = Counter(reason for demonstration in found if (reason := demonstration.unfit()))
    return ", ".join(f"{count} {_several(reason, count)}" for reason, count in counts.most_common())


def _several(reason: str, count: int) -> str:
    noun, space, rest = reason.partition(" ")
    return f"{noun}{'s' if count > 1 else ''}{space}{rest}"


def _dataset(path: Path, reading: Reading) -> Dataset:
    return _opened(path, reading.model_dump_json())


@lru_cache(maxsize=4)
def _opened(path: Path, reading: str) -> Dataset:
    return Dataset(path, Reading.model_validate_json(reading))
