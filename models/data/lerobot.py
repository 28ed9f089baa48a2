"""Demonstrations as a LeRobot dataset, version 3: one table of all frames in some files, one row an episode, one a task.

Called by models/data/demonstrations.py; models/data/lerobot_writer.py writes the same.
Written with the cameras' very JPEGs in the table (LeRobot's `image` features): nothing is lost; `video` is read too.
Names are those that LeRobot uses for ALOHA robots.
"""

import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pyarrow as pa
import simplejpeg
from av.error import FFmpegError
from numpy.typing import NDArray

from models.data import foreign_files, lerobot_places, parquet_rows
from models.data.demonstration_files import INFO
from models.data.episode import (
    DATASET_JPEG_QUALITY,
    DEMONSTRATION_HZ,
    EXPERT,
    JOINTS,
    LARGEST_PICTURE_PX,
    Episode,
    check,
    task_name,
)
from models.data.hdf5 import NAMES
from models.errors import ModelError

VERSION = "v3.0"
NUMBERS = {"observation.state": "q", "observation.velocity": "dq", "observation.effort": "effort", "action": "leader"}
_UNREADABLE = (
    OSError, ValueError, TypeError, LookupError, RuntimeError, ArithmeticError, MemoryError, AttributeError,
    pa.ArrowException, FFmpegError,
)  # fmt: skip
"""What pyarrow, av and Pillow raise for a file that is damaged or of another kind (RecursionError is a RuntimeError)."""


class Dataset:
    """An open dataset; `rows` are its episodes. Raises ModelError that names the folder and what is wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            info: Any = json.loads(foreign_files.text(folder / INFO))
            tables = foreign_files.under(folder / "meta" / "episodes", lambda path: path.suffix == ".parquet")
            self.rows = [_checked(row, folder) for path in tables for row in parquet_rows.rows(path, "stats/")]
        except _UNREADABLE as error:
            raise ModelError(
                f"{folder}: cannot be read as a LeRobot dataset ({str(error)[:100]!r}); convert it again"
            ) from None
        if not isinstance(info, dict) or not isinstance(cast(Any, info).get("features", {}), dict):
            raise ModelError(f"{folder}: its {INFO} is not that of a LeRobot dataset; convert it again")
        self._info = cast(dict[str, Any], info)
        version, rate = str(self._info.get("codebase_version")), self._info.get("fps")
        if not version.startswith("v3."):
            raise ModelError(
                f"{folder}: expected LeRobot {VERSION}, got {version}; convert it with LeRobot's own script"
            )
        if rate != DEMONSTRATION_HZ:
            raise ModelError(f"{folder}: expected {DEMONSTRATION_HZ} frames/s, got {rate}; resample it")
        self._check_features()

    def about(self, index: int) -> tuple[str, tuple[str, ...], int, str, bool | None]:
        """Task, wordings, number of steps, kind and success of an episode."""
        row = self.rows[index]
        task = task_name(str(row.get("task_name") or self.folder.name), f"{self.folder} episode {index}")
        return task, tuple(row["tasks"]), row["length"], EXPERT, _success(row)

    def read(self, index: int) -> Episode:
        """Read and check an episode. Raises ModelError that names it and what makes it unfit."""
        row = self.rows[index]
        path = self._place("data_path", row, "data")
        try:
            table = parquet_rows.episode(path, index, row["length"])
            numbers = {field: _joints(table, name) for name, field in NUMBERS.items()}
            jpegs = {camera: self._jpegs(table, row, name) for camera, name in NAMES.items()}
        except _UNREADABLE as error:
            raise ModelError(
                f"{path}: episode {index} cannot be read ({str(error)[:100]!r}); convert the dataset again"
            ) from None
        q = numbers["q"]
        if q is None or numbers["leader"] is None:
            raise ModelError(f"{path}: observation.state or action is missing; convert the dataset again")
        filled = {field: np.zeros_like(q) if values is None else values for field, values in numbers.items()}
        task, texts, _, kind, success = self.about(index)
        seed = int(row.get("seed", -1))
        episode = Episode(
            **filled, jpegs=jpegs, instructions=texts, task=task, seed=seed, world="", kind=kind, success=success
        )
        return check(episode, f"{self.folder} episode {index}")

    def _check_features(self) -> None:
        features = self._info.get("features", {})
        for name in ("observation.state", "action", *(f"observation.images.{camera}" for camera in NAMES.values())):
            if name not in features:
                raise ModelError(
                    f"{self.folder}: feature {name} is missing (it has {', '.join(sorted(features)) or 'none'})"
                )
        for name in ("observation.state", "action"):
            shape = features[name].get("shape") if isinstance(features[name], dict) else None
            if shape != [JOINTS]:
                raise ModelError(f"{self.folder}: {name}: expected shape [{JOINTS}], got {shape}")
        if not isinstance(self._info.get("data_path"), str):
            raise ModelError(f"{self.folder}: data_path is missing in {INFO}")

    def _place(self, name: str, row: dict[str, Any], prefix: str, **others: object) -> Path:
        """A file of the dataset by its pattern in the description, for an episode's row."""
        numbers = {field: row[f"{prefix}/{field}"] for field in ("chunk_index", "file_index")}
        return lerobot_places.place(self.folder, name, self._info.get(name), numbers | others)

    def _jpegs(self, table: pa.Table, row: dict[str, Any], camera: str) -> list[bytes]:
        key = f"observation.images.{camera}"
        if self._info["features"][key]["dtype"] == "image":
            return [_jpeg(value["bytes"]) for value in table[key].to_pylist()]
        path = self._place("video_path", row, f"videos/{key}", video_key=key)
        first = round(float(row[f"videos/{key}/from_timestamp"]) * DEMONSTRATION_HZ)
        pictures = itertools.islice(_pictures(path), first, first + row["length"])
        return [simplejpeg.encode_jpeg(picture, DATASET_JPEG_QUALITY) for picture in pictures]


def _checked(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    """An episode's row, unchanged. Raises ModelError where a number of it is none."""
    texts = row.get("tasks")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in cast(list[Any], texts)):
        raise ModelError(f"{folder}: tasks of an episode must be a list of texts, got {texts!r:.40}; convert it again")
    most = foreign_files.LONGEST_STEPS
    for name in ("length", "data/chunk_index", "data/file_index"):
        value = row.get(name)
        if not isinstance(value, int) or not 0 <= value <= most:
            raise ModelError(f"{folder}: {name} of an episode must be 0 to {most}, got {value!r:.40}; convert it again")
    return row


def _success(row: dict[str, Any]) -> bool | None:
    """Whether the task was done; None where the row does not say it."""
    return value if isinstance(value := row.get("success"), bool) else None


def _joints(table: pa.Table, name: str) -> NDArray[np.float32] | None:
    """A column of joints, (T, J); None where the dataset does not have it."""
    if name not in table.column_names:
        return None
    return np.asarray(table[name].to_pylist(), np.float32)


def _jpeg(stored: bytes) -> bytes:
    """A stored picture as JPEG; one that is a JPEG already is not touched, another (PNG) is encoded."""
    if stored[:2] == b"\xff\xd8":
        return stored
    from PIL import Image

    with Image.open(io.BytesIO(stored)) as picture:
        if picture.width * picture.height > LARGEST_PICTURE_PX:
            raise ValueError(f"a picture of {picture.width}x{picture.height} px")
        return simplejpeg.encode_jpeg(np.ascontiguousarray(picture.convert("RGB")), DATASET_JPEG_QUALITY)


def _pictures(path: Path) -> Iterator[NDArray[np.uint8]]:
    """The pictures (H, W, 3) uint8 RGB of a video, decoded from its beginning."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.width * frame.height > LARGEST_PICTURE_PX:
                raise ValueError(f"{path.name}: {frame.width}x{frame.height} px")
            yield np.ascontiguousarray(frame.to_ndarray(format="rgb24"), np.uint8)
