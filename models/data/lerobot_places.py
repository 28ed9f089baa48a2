"""Where the files of a LeRobot dataset lie: the pattern in its description, filled in, and kept within the dataset.

Called by lerobot.py. The pattern is others' text: Python would format with it whatever it asks for.
"""

import re
from pathlib import Path

from models.errors import ModelError

_FIELD = re.compile(r"\{(\w+)(?::0?(\d{1,2})d)?\}")  # {chunk_index:03d}, as LeRobot writes it


def place(folder: Path, name: str, pattern: object, values: dict[str, object]) -> Path:
    """A file of a dataset.

    Args:
        folder: Of the dataset.
        name: What the pattern is called in the description, for messages.
        pattern: A path below the folder, with fields of `values` in braces.
        values: Whole numbers, and names of features.

    Raises:
        ModelError: The pattern is none, or leads out of the dataset.
    """
    if not isinstance(pattern, str):
        raise ModelError(f"{folder}: {name} is missing in its description; convert it again")
    path = folder / _FIELD.sub(lambda found: _filled(found, values), pattern)
    rest = _FIELD.sub("", pattern)
    if "{" in rest or "}" in rest or any(field not in values for field, _ in _FIELD.findall(pattern)):
        raise ModelError(f"{folder}: {name} {pattern[:60]!r}: expected fields {', '.join(values)}; convert it again")
    if Path(pattern).is_absolute() or ".." in path.parts or not _is_within(path, folder):
        raise ModelError(f"{folder}: {name} {pattern[:60]!r} leads out of the dataset; convert it again")
    if not path.is_file():
        raise ModelError(f"{path}: does not exist, or is no file; copy the dataset again")
    return path


def within(folder: Path, name: str) -> Path | None:
    """A file of a dataset by the path that a row holds; None where it is not there, or lies elsewhere."""
    path = folder / name
    return path if path.is_file() and ".." not in path.parts and _is_within(path, folder) else None


def _filled(found: "re.Match[str]", values: dict[str, object]) -> str:
    value, width = values.get(found[1]), found[2]
    if isinstance(value, int):
        return f"{value:0{int(width or 0)}d}" if width else str(value)
    return str(value)


def _is_within(path: Path, folder: Path) -> bool:
    """Whether a path leads to a file below the folder, or to where the hub's cache keeps what its snapshots link to."""
    try:
        there, within = path.resolve(), folder.resolve()
    except (OSError, RuntimeError):  # links in a circle
        return False
    blobs = within.parents[1] / "blobs" if within.parent.name == "snapshots" else within
    return there.is_relative_to(within) or there.is_relative_to(blobs)
