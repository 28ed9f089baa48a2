"""The operator's terminal: single keys without waiting, and the status line. Restores the terminal whatever happens."""

import os
import select
import sys
import termios
import tty
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

KEYS = "space holds, r runs, q ends"


@contextmanager
def single_keys() -> Generator[bool]:
    """Keys come one by one without Enter while inside; yields False when there is no terminal."""
    if not sys.stdin or not sys.stdin.isatty():
        yield False
        return
    descriptor = sys.stdin.fileno()
    before: list[Any] = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield True
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def pressed() -> str:
    """The keys pressed since the last call, without waiting."""
    descriptor = sys.stdin.fileno()  # not sys.stdin.read: it would keep keys in a buffer that select cannot see
    keys = b""
    while select.select([descriptor], [], [], 0)[0]:
        more = os.read(descriptor, 64)
        if not more:
            break
        keys += more
    return keys.decode(errors="ignore")
