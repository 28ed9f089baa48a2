"""A run's folder in shared memory: sockets, rings, slots. Its maker holds a lock, so what a killed run left is told apart.
Made by the robot command, paced replay, benchmarks and the GPU box; found by whoever talks to a run.

A process number would not do: containers that share /dev/shm each count their processes from 1.
"""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

MEMORY_FOLDER = Path("/dev/shm")
RUN_PREFIX = "video2act-"  # of a run's folder there; the supervisor's process id follows
BOX_PREFIX = "video2act.system2-"  # of System 2's on a GPU box
REPLAY_PREFIX, BENCH_PREFIX = "video2act.replay-", "video2act.bench-"
_LOCK = "alive"


class MemoryFolder:
    """A new folder of this process, until it is removed; those that killed processes left are removed before."""

    def __init__(self, prefix: str) -> None:
        sweep()
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY_FOLDER))
        beside = self.path / f"{_LOCK}.part"  # it has its name once it is locked
        self._lock = os.open(beside, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        beside.rename(self.path / _LOCK)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *raised: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove the folder with all it holds, and release the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def sweep() -> None:
    """Remove the folders whose makers are gone; of others' nothing, nor what this user may not touch."""
    for prefix in (RUN_PREFIX, BOX_PREFIX, REPLAY_PREFIX, BENCH_PREFIX):
        for lock in MEMORY_FOLDER.glob(f"{prefix}*/{_LOCK}"):
            try:
                opened = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
            except OSError:  # another user's, or just removed
                continue
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
            except BlockingIOError:
                pass  # its maker lives
            finally:
                os.close(opened)
