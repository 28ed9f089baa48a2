"""Progress of whatever takes longer than some seconds: a bar on a terminal, elsewhere a line every ten seconds.
Used by commands that train, evaluate, replay, export, fetch or measure.
"""

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TextIO

from tqdm import tqdm

_BAR_AFTER_S, _LINE_EVERY_S = 1.0, 10.0
"""Chosen: what is done within a second needs no bar; a log may be silent for ten seconds before it looks hung."""
_LINE = "{desc}: {n_fmt} of {total_fmt} %s, {elapsed} elapsed, {remaining} remaining{postfix}"
_CLEAR = "\r\x1b[K"


class _Lines:
    """What tqdm takes for a file: each state of the bar becomes a line of its own."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Write a state of the bar, which begins with a carriage return, as a line."""
        if text.strip():
            self._file.write(text.strip() + "\n")
        return len(text)

    def flush(self) -> None:
        self._file.flush()


def bar(total: float, what: str, unit: str, **options: Any) -> "tqdm[Any]":
    """tqdm's bar, as a context manager; `update(n)` says how much more is done. `options` are tqdm's."""
    if sys.stderr.isatty():
        return tqdm(total=total, desc=what, unit=unit, delay=_BAR_AFTER_S, **options)
    lines: Any = _Lines(sys.stderr)
    every = {"mininterval": _LINE_EVERY_S, "maxinterval": _LINE_EVERY_S, "delay": _LINE_EVERY_S}
    form = _LINE % (unit if unit in ("B", "%") else f"{unit}s")
    return tqdm(total=total, desc=what, unit=unit, file=lines, bar_format=form, **every, **options)


@contextmanager
def waiting(what: str) -> Generator[None]:
    """While inside, say now and then that `what` still goes on, and for how long; for what has no foreseeable end."""
    ended = threading.Event()
    teller = threading.Thread(target=_tell, args=(what, ended), daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


def _tell(what: str, ended: threading.Event) -> None:
    terminal, seconds = sys.stderr.isatty(), 0.0
    every_s = _BAR_AFTER_S if terminal else _LINE_EVERY_S
    while not ended.wait(every_s):
        seconds += every_s
        text = f"{what}: {seconds:.0f} s"
        sys.stderr.write(f"{_CLEAR}{text}" if terminal else f"{text}\n")
        sys.stderr.flush()
    if terminal and seconds:
        sys.stderr.write(_CLEAR)
        sys.stderr.flush()
