"""Standard input, output and error are there, whoever started this program without them. Called first thing by runtime/cli.py.

Where one is closed (`2>&-`, some service managers) Python has None, and the next file that is opened would get its number.
"""

import os
import sys
from pathlib import Path

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))  # by their number (POSIX: 0, 1, 2)


def ensure() -> None:
    """Put the null device in place of each that is closed, for children too."""
    closed = [number for number in range(len(_STREAMS)) if not _is_open(number)]
    for number in closed:  # all before a stream opens a number of its own, which would be one of these
        _open_as(number)
    for name, mode in _STREAMS:
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - as long as the program


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _open_as(number: int) -> None:
    """The null device under this number, inherited by children."""
    opened = os.open(os.devnull, os.O_RDWR)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    os.set_inheritable(number, True)
