"""Where what can be made again is kept on disk, shared by all runs of one user: encoded instructions, graphs of networks.
Used by runtime/policy.

Where the user's cache cannot be written (no HOME, another user's, a full or read-only disk), his folder in /tmp serves.
"""

import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from runtime.errors import RuntimeFault

_MINE = 0o700  # the mode of a folder that only its owner may enter


def usual(kind: str) -> tuple[Path, ...]:
    """The user's cache of a kind, and a folder in /tmp. Who has no home has the second alone."""
    beside = _in_tmp() / kind
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # no HOME, and no such user
        return (beside,)
    return root / "video2act" / kind, beside


def ensure_home() -> None:
    """Give a user without a home one in /tmp: libraries would keep their files in a folder `~` of the working directory."""
    try:
        Path.home()
    except RuntimeError:  # no HOME, and no such user: a container that runs under any number
        os.environ["HOME"] = str(_in_tmp())


def _in_tmp() -> Path:
    """This user's folder in /tmp; another name where somebody else has taken it, since anybody may make it there."""
    folder = Path(tempfile.gettempdir()) / f"video2act-{os.geteuid()}"
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return folder
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return folder if mine else folder.with_name(f"{folder.name}-none")


def writable(folders: Sequence[Path]) -> tuple[Path, str]:
    """The first folder that can be written, made where it is missing.

    Returns:
        It, and why the first one is not used; empty: it is.

    Raises:
        RuntimeFault: No folder can be written.
    """
    refused: list[str] = []
    for folder in folders:
        try:
            folder.mkdir(mode=_MINE, parents=True, exist_ok=True)
            if folder.stat().st_uid != os.geteuid():
                raise PermissionError(0, "belongs to another user")
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            refused.append(f"{folder}: cannot be written ({error.strerror})")
            continue
        return folder, refused[0] if refused else ""
    raise RuntimeFault(f"{'; '.join(refused)}; set XDG_CACHE_HOME to a writable folder")
