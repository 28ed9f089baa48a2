"""Whether demonstrations are still the ones that a training was begun with: a hash of all that their files hold.
Called by run.py.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from models.data.demonstrations import Demonstration
from runtime.host.progress import bar

_SHOWN_BYTES = 4 << 30  # read within some ten seconds, from where on progress is shown


def digest(folder: Path, demonstrations: Sequence[Demonstration]) -> str:
    """A hash of names and contents of all files that the demonstrations are made of.

    Args:
        folder: That they were found in.
        demonstrations: Files, or episodes of datasets that are folders.

    Returns:
        12 hexadecimal digits.
    """
    files = sorted({file for path in {one.path for one in demonstrations} for file in _files(path)})
    total, found = sum(file.stat().st_size for file in files), hashlib.sha256()
    with bar(len(files), "reading the demonstrations", "file", disable=total < _SHOWN_BYTES) as progress:
        for file in files:
            with file.open("rb") as opened:
                found.update(str(file.relative_to(folder)).encode() + hashlib.file_digest(opened, "sha256").digest())
            progress.update()
    return found.hexdigest()[:12]


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
