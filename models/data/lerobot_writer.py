"""Writes demonstrations as a LeRobot dataset, version 3 (models/data/lerobot.py tells of the format, and reads it).

Called by the export of sessions; tests/real_lerobot.sh lets LeRobot itself read the result.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg

from models.data import new_folder
from models.data.column_statistics import ColourStatistics, NumberStatistics
from models.data.demonstration_files import INFO
from models.data.episode import DEMONSTRATION_HZ, JOINTS, Episode
from models.data.hdf5 import NAMES
from models.data.lerobot import NUMBERS, VERSION
from models.errors import ModelError

_DATA = "data/chunk-{chunk:03d}/file-{file:03d}.parquet"
_EPISODES = "meta/episodes/chunk-{chunk:03d}/file-{file:03d}.parquet"
_LARGEST_FILE_BYTES = 100 << 20  # LeRobot's own default; looked at between episodes, so a file may exceed it by one
_FILES_IN_CHUNK = 1000  # LeRobot's own default
_STATISTICS_EVERY = 20
"""Of so many pictures one is measured. Chosen: neighbours hardly differ, and decoding a picture costs more than writing it."""
# LeRobot's names for ALOHA robots
_JOINT_NAMES = [
    f"{side}_{name}" for side in ("left", "right") for name in (*(f"joint_{i}" for i in range(1, 7)), "gripper")
]
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(folder: Path, episodes: Iterable[Episode]) -> int:
    """Write a dataset, whole or not at all. Returns the number of episodes.

    Raises ModelError when the folder is there already, when there are no episodes, or for a damaged picture.
    """
    if folder.exists():
        raise ModelError(f"{folder}: already exists, and a LeRobot dataset cannot be extended; give another folder")
    with new_folder.whole(folder) as beside:
        writer = _Writer(beside)
        for episode in episodes:
            writer.add(episode)
        writer.finish()
    return len(writer.rows)


class _Writer:
    """A dataset as it grows: tables of frames are written as episodes come, everything else by `finish`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.rows: list[dict[str, Any]] = []
        self._tasks: dict[str, int] = {}
        self._frames = self._file = 0
        self._table: pq.ParquetWriter | None = None
        self._bytes = 0
        self._numbers = {name: NumberStatistics() for name in NUMBERS}
        self._colours = {name: ColourStatistics() for name in NAMES.values()}
        self._sizes: dict[str, tuple[int, int]] = {}

    def add(self, episode: Episode) -> None:
        """Write an episode's frames, in a new file where the last one is full. Raises ModelError for a damaged picture."""
        for text in episode.instructions:
            self._tasks.setdefault(text, len(self._tasks))
        table = self._table_of(episode)
        if self._table is not None and self._bytes > _LARGEST_FILE_BYTES:
            self._table.close()
            self._table, self._bytes, self._file = None, 0, self._file + 1
        if self._table is None:
            path = self._folder / _DATA.format(chunk=self._file // _FILES_IN_CHUNK, file=self._file % _FILES_IN_CHUNK)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._table = pq.ParquetWriter(path, table.schema, compression="none")  # JPEGs do not shrink
        self._table.write_table(table)
        self._bytes += sum(len(jpeg) for jpegs in episode.jpegs.values() for jpeg in jpegs)
        self.rows.append(
            {
                "episode_index": len(self.rows),
                "tasks": list(episode.instructions),
                "length": len(episode),
                "task_name": episode.task,
                "seed": episode.seed,
                "success": episode.success,
                "data/chunk_index": self._file // _FILES_IN_CHUNK,
                "data/file_index": self._file % _FILES_IN_CHUNK,
                "dataset_from_index": self._frames,
                "dataset_to_index": self._frames + len(episode),
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
            }
        )
        self._frames += len(episode)
        self._measure(episode)

    def finish(self) -> None:
        """Write what describes the dataset: episodes, tasks, info, statistics. Raises ModelError without episodes."""
        if self._table is None:
            raise ModelError("no episodes to write")
        self._table.close()
        episodes = self._folder / _EPISODES.format(chunk=0, file=0)
        episodes.parent.mkdir(parents=True)
        pq.write_table(_episodes_table(self.rows), episodes)
        pq.write_table(_tasks_table(self._tasks), self._folder / "meta" / "tasks.parquet")
        (self._folder / INFO).write_text(json.dumps(self._info(), indent=1))
        statistics = {name: one.summary(()) for name, one in self._numbers.items()}
        colours = {f"observation.images.{name}": one.summary((3, 1, 1)) for name, one in self._colours.items()}
        (self._folder / "meta" / "stats.json").write_text(json.dumps(statistics | colours, indent=1))

    def _table_of(self, episode: Episode) -> pa.Table:
        steps, index = len(episode), len(self.rows)
        columns: dict[str, Any] = {
            name: pa.FixedSizeListArray.from_arrays(pa.array(getattr(episode, field).ravel(), pa.float32()), JOINTS)
            for name, field in NUMBERS.items()
        }
        for camera, name in NAMES.items():
            jpegs = [{"bytes": jpeg, "path": None} for jpeg in episode.jpegs[camera]]
            columns[f"observation.images.{name}"] = pa.array(jpegs, _IMAGE)
        columns["timestamp"] = pa.array(np.arange(steps, dtype=np.float32) / DEMONSTRATION_HZ)
        columns["frame_index"] = pa.array(np.arange(steps))
        columns["episode_index"] = pa.array(np.full(steps, index))
        columns["index"] = pa.array(np.arange(self._frames, self._frames + steps))
        columns["task_index"] = pa.array(np.full(steps, self._tasks[episode.instructions[0]]))
        return pa.table(columns)

    def _measure(self, episode: Episode) -> None:
        for name, field in NUMBERS.items():
            self._numbers[name].add(getattr(episode, field))
        for camera, name in NAMES.items():
            for jpeg in episode.jpegs[camera][::_STATISTICS_EVERY]:
                try:
                    picture = simplejpeg.decode_jpeg(jpeg)
                except ValueError as error:
                    raise ModelError(f"an image of {camera} is damaged ({error}); leave its episode out") from None
                self._sizes[name] = picture.shape[:2]
                self._colours[name].add(picture.reshape(-1, 3))

    def _info(self) -> dict[str, Any]:
        """The content of `meta/info.json`: LeRobot's version, counts, paths, and shape and dtype of every feature."""
        joints = {"dtype": "float32", "shape": [JOINTS], "names": _JOINT_NAMES}
        features: dict[str, Any] = dict.fromkeys(NUMBERS, joints)
        for name, size in self._sizes.items():
            picture = {"dtype": "image", "shape": [*size, 3], "names": ["height", "width", "channels"]}
            features[f"observation.images.{name}"] = picture
        features["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
        for name in ("frame_index", "episode_index", "index", "task_index"):
            features[name] = {"dtype": "int64", "shape": [1], "names": None}
        return {
            "codebase_version": VERSION,
            "robot_type": "cobot_magic",
            "total_episodes": len(self.rows),
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
            "chunks_size": _FILES_IN_CHUNK,
            "data_files_size_in_mb": _LARGEST_FILE_BYTES >> 20,
            "video_files_size_in_mb": 200,
            "fps": DEMONSTRATION_HZ,
            "splits": {"train": f"0:{len(self.rows)}"},
            "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
            "video_path": None,
            "features": features,
        }


def _episodes_table(rows: list[dict[str, Any]]) -> pa.Table:
    """A row an episode; `success` is null where nobody judged, of the same type in every dataset."""
    table = pa.Table.from_pylist(rows)
    place = table.schema.get_field_index("success")
    return table.set_column(place, "success", table["success"].cast(pa.bool_()))


def _tasks_table(tasks: dict[str, int]) -> pa.Table:
    """Instructions and their numbers, as a table that pandas reads with the texts as index: LeRobot looks them up so."""
    name = "__index_level_0__"
    table = pa.table(
        {"task_index": pa.array(list(tasks.values()), pa.int64()), name: pa.array(list(tasks), pa.string())}
    )
    columns = [
        {"name": None, "field_name": name, "pandas_type": "unicode", "numpy_type": "object", "metadata": None},
        {
            "name": "task_index",
            "field_name": "task_index",
            "pandas_type": "int64",
            "numpy_type": "int64",
            "metadata": None,
        },
    ]
    about = {"index_columns": [name], "column_indexes": [], "columns": columns, "pandas_version": "2.0.0"}
    return table.replace_schema_metadata({"pandas": json.dumps(about)})
