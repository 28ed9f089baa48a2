"""A run's folder in shared memory: sockets, rings, slots. Its maker holds a lock, so what a killed run left is told apart.
Made by the robot command, paced replay, benchmarks and the GPU box; found by whoever talks to a run.

A process number would not do: containers that share /dev/shm each count their processes from 1.
"""

import fcntl
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runtime.errors import RuntimeFault
from runtime.host import descriptors, remedies

MEMORY_FOLDER = Path("/dev/shm")
RUN_PREFIX = "video2act-"  # of a run's folder there; the supervisor's process id follows
BOX_PREFIX = "video2act.system2-"  # of System 2's on a GPU box
REPLAY_PREFIX, BENCH_PREFIX = "video2act.replay-", "video2act.bench-"
_LOCK = "alive"
_ROOM = "a run needs shared memory there: mount a tmpfs, or enlarge it (in a container: --shm-size=2g)"


class MemoryFolder:
    """A new folder of this process, until it is removed; those that killed processes left are removed before."""

    def __init__(self, prefix: str) -> None:
        """Raises RuntimeFault where shared memory is missing or full, or too few files may be open."""
        descriptors.ensure()
        sweep()
        try:
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY_FOLDER))
            beside = self.path / f"{_LOCK}.part"  # it has its name once it is locked
            self._lock = os.open(beside, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            beside.rename(self.path / _LOCK)
        except OSError as error:
            raise RuntimeFault(remedies.line(error, MEMORY_FOLDER, _ROOM)) from None

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *raised: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove the folder with all it holds, and release the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def sweep() -> None:
    """Remove this user's folders whose makers are gone; of others' nothing, whoever calls this."""
    for prefix in (RUN_PREFIX, BOX_PREFIX, REPLAY_PREFIX, BENCH_PREFIX):
        for folder in _of_this_user(prefix):
            if (folder / _LOCK).exists() and not _held(folder):
                shutil.rmtree(folder, ignore_errors=True)


def running() -> list[tuple[int, Path]]:
    """The runs of this user whose makers live: the number in the folder's name, and the folder; sorted.

    Anybody may make a folder of any name here: what counts is who owns it, and that its lock is held.
    """
    return sorted(
        (number, folder)
        for folder in _of_this_user(RUN_PREFIX)
        if (number := _number(folder)) is not None and _held(folder)
    )


def others() -> list[str]:
    """Names of the other users who have something here that is called like a run, sorted."""
    owners = {
        status.st_uid
        for folder in MEMORY_FOLDER.glob(f"{RUN_PREFIX}*")
        if _number(folder) is not None and (status := _status(folder)) is not None and status.st_uid != os.geteuid()
    }
    return sorted(map(_user_name, owners))


def _of_this_user(prefix: str) -> Iterator[Path]:
    """Folders of a prefix that this user owns; no links."""
    for folder in MEMORY_FOLDER.glob(f"{prefix}*"):
        status = _status(folder)
        if status is not None and stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
            yield folder


def _status(folder: Path) -> os.stat_result | None:
    try:
        return folder.lstat()
    except OSError:  # just removed
        return None


def _number(folder: Path) -> int | None:
    """The supervisor's process id in a run's name; None: it is called otherwise."""
    number, _, rest = folder.name.removeprefix(RUN_PREFIX).partition("-")
    return int(number) if rest and number.isascii() and number.isdigit() else None


def _held(folder: Path) -> bool:
    """Whether somebody holds the folder's lock; False where there is none."""
    try:
        opened = os.open(folder / _LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # not locked yet, or just removed
        return False
    try:
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(opened)
    return False


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
