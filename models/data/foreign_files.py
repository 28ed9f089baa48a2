"""Files and folders of datasets that others made: found, read and believed only within bounds.

Called by the readers beside it. A folder may hold links in a circle, a file pipes without an end or 200 KB that claim 26 GiB.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from models.errors import ModelError

REMOVE = "remove this demonstration, or give another"
"""The remedy of all that makes a file unfit; `export`, which skips it by itself, does not say it."""

LARGEST_TEXT_BYTES = 16 << 20  # of a JSON file; chosen: LeRobot's largest have some 100 KB
LONGEST_STEPS = 1 << 17  # of a demonstration; chosen: over an hour at 30 Hz
_LEAST_BYTES, _MOST_EXPANSION = 64 << 20, 100
"""What may be unpacked of any file, and of each of its bytes. Chosen: gzip packs pictures 2 to 30 times, numbers less."""


def most_bytes(stored_bytes: int) -> int:
    """How much what takes so many bytes in a file may unpack to."""
    return _LEAST_BYTES + _MOST_EXPANSION * stored_bytes


def plain(path: Path) -> Path:
    """The path, unchanged, if it leads to a file. Raises ModelError for a pipe or device: nobody knows where those end."""
    if path.exists() and not path.is_file():
        raise ModelError(f"{path}: is not a file; {REMOVE}")
    return path


def text(path: Path) -> str:
    """A text file. Raises OSError, ValueError where it is no UTF-8 or too large, ModelError for a pipe or device."""
    with plain(path).open("rb") as file:
        data = file.read(LARGEST_TEXT_BYTES + 1)
    if len(data) > LARGEST_TEXT_BYTES:
        raise ValueError(f"more than {LARGEST_TEXT_BYTES} bytes")
    return data.decode()


def under(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """Files below a folder, sorted, each once; links are followed: a folder of some tasks is often made of them."""
    found = sorted(path for path in _walk(folder) if wanted(path))
    return list({os.path.realpath(path): path for path in reversed(found)}.values())[::-1]


def holds(folder: Path, wanted: Callable[[Path], bool]) -> bool:
    """Whether there is such a file below a folder; links are followed."""
    return any(map(wanted, _walk(folder)))


def _walk(folder: Path) -> Iterator[Path]:
    """All below a folder that is no folder; each folder once, however many links lead to it. Hidden ones are left out."""
    waiting, seen = [folder], set[tuple[int, int]]()
    while waiting:
        place = waiting.pop()
        try:
            status = place.stat()
            below = [] if (status.st_dev, status.st_ino) in seen else sorted(place.iterdir())
        except OSError:  # may not be read, is gone, or its name has become too long
            continue
        seen.add((status.st_dev, status.st_ino))
        shown = [(path, _is_folder(path)) for path in below if not path.name.startswith(".")]
        yield from (path for path, is_folder in shown if not is_folder)
        waiting += [path for path, is_folder in reversed(shown) if is_folder]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # its name is too long, or may not be looked at
        return False
