"""The operator's terminal: lines out, single keys in without waiting. Restores the terminal whatever happens.

A terminal that is gone (closed window, lost connection, `robot.sh | head`) ends the program in order, like a hang-up.
"""

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

KEYS = "space holds, r runs, t lets the masters take over, q ends"


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
        with suppress(termios.error):  # it is gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def pressed() -> str:
    """The keys pressed since the last call, without waiting."""
    descriptor = sys.stdin.fileno()  # not sys.stdin.read: it would keep keys in a buffer that select cannot see
    keys = b""
    while select.select([descriptor], [], [], 0)[0]:
        try:
            more = os.read(descriptor, 64)
        except OSError:
            break
        if not more:
            break
        keys += more
    return keys.decode(errors="ignore")


def say(text: str) -> None:
    """A line for the operator. If nobody can read it any more, the process gets SIGHUP and what follows goes nowhere."""
    try:
        print(text, flush=True)  # noqa: T201
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        os.kill(os.getpid(), signal.SIGHUP)
