"""A folder of demonstrations that appears when it is whole. Called by whatever writes one.

Until then it has a hidden name with a drawn part: readers pass hidden ones over, and no folder of anybody's is in its way.
"""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from models.errors import ModelError

_DRAWN_BYTES = 4  # of the name; chosen: two writers of one folder never meet


@contextmanager
def whole(folder: Path) -> Generator[Path]:
    """Give an empty folder to write to, which is renamed at the end; after an error nothing of it is left.

    What killed writers of the same folder left is removed before.

    Args:
        folder: Is not there yet; those above it are made.

    Raises:
        ModelError: It is there, at the start or by then at the end.
    """
    _refuse_existing(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(_DRAWN_BYTES)}.part")
    beside.mkdir()
    lock = os.open(beside, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield beside
        _refuse_existing(folder)
        beside.rename(folder)
    finally:
        os.close(lock)
        shutil.rmtree(beside, ignore_errors=True)


def _refuse_existing(folder: Path) -> None:
    if os.path.lexists(folder):  # a link that leads nowhere is there too
        raise ModelError(f"{folder}: already exists; give another folder")


def _sweep(folder: Path) -> None:
    """Remove what lies beside under such a name and is locked by nobody: its writer was killed."""
    name = re.compile(rf"\.{re.escape(folder.name)}\.[0-9a-f]{{{2 * _DRAWN_BYTES}}}\.part")
    for left in folder.parent.iterdir():
        if not name.fullmatch(left.name) or not left.is_dir() or left.is_symlink():
            continue
        lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)
