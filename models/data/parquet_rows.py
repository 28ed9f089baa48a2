"""Rows of parquet files that others made, some at a time: 200 KB of them may stand for gigabytes. Called by lerobot.py."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.data.foreign_files import REMOVE, most_bytes
from models.errors import ModelError

_ROWS = 64  # that are unpacked at once; chosen: two seconds of three cameras, 6 MB
_BLOCK = 4096  # of two numbers each; chosen: 64 KB
_BYTES_OF_ROW = 1000  # of an episode's row as Python keeps it; measured: 0.8 to 1.2 KB


def episode(path: Path, index: int, length: int) -> pa.Table:
    """The rows of one episode of a file.

    Args:
        path: Of a table with a column `episode_index`.
        index: Of the episode.
        length: Rows that it is said to have.

    Raises:
        ModelError: It has another number of rows, or unpacks to more than a file of its size can hold.
        ArrowException, OSError, ValueError: The file is damaged.
    """
    remaining, found = most_bytes(path.stat().st_size), list[pa.RecordBatch]()
    count = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_ROWS, row_groups=_groups(file, index)):
            remaining -= batch.nbytes
            if remaining < 0:
                raise ModelError(f"{path}: unpacks to more than a file of its size can hold; {REMOVE}")
            mine = batch.filter(pa.array(np.asarray(batch.column("episode_index")) == index))
            count += mine.num_rows
            if count > length:
                raise ModelError(f"{path}: episode {index} has more than the {length} rows it is said to have")
            if mine.num_rows:
                found.append(mine)
        if count < length:
            raise ModelError(
                f"{path}: episode {index} has {count} rows, it is said to have {length}; convert the dataset again"
            )
        return _in_sequence(pa.Table.from_batches(found, file.schema_arrow))


def values(path: Path, index: int, column: str) -> list[Any]:
    """What a column holds in the rows of one episode, each once. Raises as `episode` does; none where it is not there."""
    with pq.ParquetFile(path) as file:
        if column not in file.schema_arrow.names:
            return []
        found: dict[Any, None] = {}
        for batch in file.iter_batches(_BLOCK, row_groups=_groups(file, index), columns=["episode_index", column]):
            mine = batch.filter(pa.array(np.asarray(batch.column("episode_index")) == index))
            found |= dict.fromkeys(mine.column(column).to_pylist())
    return list(found)


def tasks(path: Path) -> dict[int, str]:
    """Instructions by their numbers, of LeRobot's table of tasks; none where there is no such file."""
    if not path.is_file():
        return {}
    found: dict[int, str] = {}
    for row in rows(path, "stats/"):
        texts = [value for value in row.values() if isinstance(value, str)]  # pandas' index, or a column of its own
        if isinstance(number := row.get("task_index"), int) and texts:
            found[number] = texts[0]
    return found


def rows(path: Path, leave_out: str) -> list[dict[str, Any]]:
    """All rows of a small table, but for columns that begin with `leave_out`. Raises as `episode` does."""
    remaining, found = most_bytes(path.stat().st_size), list[dict[str, Any]]()
    with pq.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if not name.startswith(leave_out)]
        for batch in file.iter_batches(_ROWS, columns=names):
            remaining -= batch.nbytes + _BYTES_OF_ROW * batch.num_rows
            if remaining < 0:
                raise ModelError(f"{path}: unpacks to more than a file of its size can hold; {REMOVE}")
            found += batch.to_pylist()
    return found


def _in_sequence(table: pa.Table) -> pa.Table:
    """An episode's rows by their frames' numbers, as they nearly always lie already."""
    if "frame_index" not in table.column_names:
        return table
    numbers = np.asarray(table["frame_index"])
    return table if (np.diff(numbers) > 0).all() else table.take(pa.array(np.argsort(numbers, kind="stable")))


def _groups(file: pq.ParquetFile, index: int) -> list[int]:
    """The row groups that may hold an episode, by their statistics."""
    about = file.metadata
    leaves = [about.schema.column(place).path for place in range(about.num_columns)]
    place = leaves.index("episode_index")
    groups = range(about.num_row_groups)
    return [group for group in groups if _may_hold(about.row_group(group).column(place).statistics, index)]


def _may_hold(statistics: Any, index: int) -> bool:
    return statistics is None or not statistics.has_min_max or statistics.min <= index <= statistics.max
