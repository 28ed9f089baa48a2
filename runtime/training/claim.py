"""One training at a time in a folder: two would overwrite each other's states. Called by command.py."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from runtime.errors import RuntimeFault

_LOCK = ".lock"


@contextmanager
def held(out: Path) -> Generator[None]:
    """Hold a training's folder, which is made, for as long as this process trains in it.

    The lock is POSIX's: processes that this one begins do not inherit it, so that a killed training can be resumed at once.

    Raises:
        RuntimeFault: Another process holds it, or the disk knows no locks.
    """
    out.mkdir(parents=True, exist_ok=True)
    lock = os.open(out / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        _lock(lock, out)
        yield
    finally:
        os.close(lock)


def _lock(lock: int, out: Path) -> None:
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX allows both
        raise RuntimeFault(f"--out {out}: another training writes there; end it, or give another --out") from None
    except OSError as error:
        raise RuntimeFault(f"--out {out}: cannot be locked ({error.strerror}); give a folder on a local disk") from None
