"""Demonstrations under a folder, whatever their format: HDF5 files and LeRobot datasets.

Called by runtime/training, and by runtime/replay/on_robot.py for a demonstration that the arms follow.
"""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from models.data import demonstration_files, hdf5
from models.data.episode import EXPERT, Episode
from models.data.lerobot import Dataset
from models.errors import ModelError


@dataclass(frozen=True)
class Demonstration:
    """Where a demonstration lies, and what it is about; its pictures are read when they are needed."""

    path: Path  # of the file, or of the dataset
    index: int | None  # in the dataset
    task: str
    texts: tuple[str, ...]
    steps: int
    kind: str = EXPERT
    success: bool | None = None  # None: nobody judged

    def unfit(self) -> str:
        """Why no policy may learn from it, though the video model may; empty: it may."""
        if self.kind != EXPERT:
            return f"film ({self.kind})"
        return "failure" if self.success is False else ""

    def read(self) -> Episode:
        """Read joints and pictures, checked. Raises ModelError that names the source and what makes it unfit."""
        return hdf5.read(self.path) if self.index is None else _dataset(self.path).read(self.index)


def find(folder: Path) -> list[Demonstration]:
    """All demonstrations under a folder: files by path, then datasets. Raises ModelError for none, or an unreadable one."""
    found = [Demonstration(path, None, *hdf5.about(path)) for path in demonstration_files.hdf5_files(folder)]
    for path in demonstration_files.datasets(folder):
        dataset = _dataset(path)
        found += [Demonstration(path, index, *dataset.about(index)) for index in range(len(dataset.rows))]
    if not found:
        raise ModelError(f"{folder}: {demonstration_files.NONE}")
    return found


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


@lru_cache(maxsize=4)
def _dataset(path: Path) -> Dataset:
    return Dataset(path)
