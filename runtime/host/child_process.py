"""What a process that another one started asks of the kernel: a name of its own, and to end with its parent.
Called first thing by every process of a run, by worker pools and by training's ranks.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # of linux/prctl.h
_PR_SET_NAME = 15  # of linux/prctl.h


def die_with_parent(name: str) -> None:
    """Take a name that `ps` shows, and end when the process that started this one does."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    libc.prctl(_PR_SET_NAME, f"v2a-{name}".encode()[:15])
    if os.getppid() == 1:  # the parent died before the line above
        sys.exit(1)
