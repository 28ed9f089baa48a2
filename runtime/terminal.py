"""The operator's terminal: single keys without waiting, and the status line. Restores the terminal whatever happens."""

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
    keys = ""
    while select.select([sys.stdin], [], [], 0)[0]:
        key = sys.stdin.read(1)
        if not key:
            break
        keys += key
    return keys
