"""The operator's terminal: lines out, one that stays below them, single keys in, none ever waited for; restored at the end.
Used by every command.

A terminal that is gone (closed window, lost connection, `robot.sh | head`) ends the program in order, like a hang-up. One
that is stopped (a connection that hangs) holds nobody up: while keys are read, lines are written by a thread of their own.
"""

import io
import os
import re
import select
import signal
import sys
import termios
import threading
import tty
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

KEYS = "space: hold, r: run, t: takeover by the leaders, q: quit, ?: show the keys"
_MOST_LINES = 500
"""Texts that wait for a stopped terminal, then the oldest go; chosen: what a person might still scroll through."""
_LAST_S = 0.5  # for the last lines; chosen: so short a wait at the end is not noticed
_COLUMNS = 80  # of a terminal that does not tell: the width of the VT100
_INPUT, _SPECIAL = 0, 6  # places of iflag and cc in what termios.tcgetattr gives
_DISABLED = b"\0"
_CLEAR = "\r\x1b[K"  # to the beginning of the line, and nothing on it (ECMA-48 EL)
_KEY = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)  # an arrow or a function key comes as several characters
_STEERING = {
    code: "?" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"
}  # C0, DEL, C1 (ECMA-48)
_BREAKS: dict[int, str] = dict.fromkeys((0x0A, 0x09, 0x2028, 0x2029), "?")  # newline, tab, line and paragraph separator
_LONG_WORD = re.compile(r"(\S{120})\S{64,}(\S{60})")
"""Its beginning and end are kept; chosen: most paths are whole, and a line still fits a screen."""
_NAMES = {" ": "space", "\n": "Enter", "\r": "Enter", "\t": "Tab", "\x1b": "Escape", "\x7f": "Backspace"}


@contextmanager
def single_keys() -> Generator[bool]:
    """Keys come one by one without Enter while inside; yields False when there is no terminal.

    Ctrl-S and Ctrl-Z are ordinary keys meanwhile: they would stop the program that watches the robot, and its keys.
    """
    if not sys.stdin or not sys.stdin.isatty():
        yield False
        return
    descriptor = sys.stdin.fileno()
    before: list[Any] = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSANOW)
        mode: list[Any] = termios.tcgetattr(descriptor)
        mode[_INPUT] &= ~(termios.IXON | termios.IXOFF)
        mode[_SPECIAL][termios.VSUSP] = _DISABLED
        termios.tcsetattr(descriptor, termios.TCSANOW, mode)
        yield True
    finally:
        with suppress(termios.error):  # it is gone
            termios.tcsetattr(descriptor, termios.TCSANOW, before)


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


def keys(typed: str) -> list[str]:
    """Typed characters as keys: an arrow is one, though it comes as three characters."""
    return _KEY.findall(typed)


def key_name(key: str) -> str:
    """How a key is called in a sentence."""
    return _NAMES.get(key) or (key if key.isprintable() else "that key")


def width() -> int | None:
    """Columns of the terminal that lines go to; None where they go into a file, a pipe or a journal."""
    try:
        shown = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        return os.get_terminal_size(sys.stdout.fileno()).columns or _COLUMNS if shown else None
    except (AttributeError, OSError, ValueError):  # no standard output, or a closed one
        return None


def show(text: str) -> None:
    """Put a line below all others, in place of the one before; empty: none. The caller fits it to `width`."""
    global _shown
    text = plain(text)
    if text != _shown:
        _shown = text
        _put(_CLEAR + text)


def plain(text: str) -> str:
    """A text without what steers a terminal: names in a file or on a wire may be anything. Lines stay lines."""
    return text.translate(_STEERING)


def counted(number: int, noun: str) -> str:
    """A number of things in words: `1 episode`, `3 episodes`."""
    return f"{number} {noun}" + "s" * (number != 1)


def one_line(text: str) -> str:
    """A text on one line that a terminal can take, without `plain`'s steering; words of many letters lose their middle."""
    return _LONG_WORD.sub(r"\1...\2", plain(text).translate(_BREAKS))


def write_page(text: str) -> None:
    """Print a whole page, such as a help. Raises OSError where it cannot be written; who has read enough ends it quietly."""
    try:
        print(text.removesuffix("\n"), flush=True)  # noqa: T201
    except OSError as error:
        _discard_output()
        if isinstance(error, BrokenPipeError):
            sys.exit(128 + signal.SIGPIPE)  # as a program ends that does not catch it
        raise


def _discard_output() -> None:
    """What waits in Python's buffer goes nowhere: writing it once more at the end would be a traceback."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str) -> None:
    """Write a line for the operator; what would steer his terminal is shown as `?`.

    If nobody can read it any more, this process gets SIGHUP and what follows goes nowhere.
    """
    text = plain(text)
    _put(f"{_CLEAR}{text}\n{_shown}" if _shown else f"{text}\n")


def unread_within(seconds: float) -> bool:
    """Sleep, but only as long as somebody can read what is said; whether nobody can any more (`| head`, a closed window)."""
    watched = select.poll()
    with suppress(AttributeError, OSError, ValueError):  # no standard output, or none that the system knows
        watched.register(sys.stdout.fileno(), 0)  # of its end a poll tells unasked (poll(2): POLLERR, POLLHUP)
    return bool(watched.poll(seconds * 1000))


def _put(text: str) -> None:
    if _beside is not None:
        _beside.write(text)
        return
    try:
        print(text, end="", flush=True)  # noqa: T201
    except OSError:
        _discard_output()
        os.kill(os.getpid(), signal.SIGHUP)


@contextmanager
def written_beside() -> Generator[None]:
    """Lines are written by a thread while inside. At the end those that still wait are given half a second."""
    global _beside
    try:
        sys.stdout.flush()
        descriptor = sys.stdout.fileno()
    except (OSError, io.UnsupportedOperation):
        yield
        return
    _beside = writer = _Writer(descriptor)
    try:
        yield
    finally:
        show("")
        _beside = None
        writer.end()


class _Writer:
    """Writes lines to a descriptor, without Python's buffers: at the end nobody waits for their lock."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines = deque[str](maxlen=_MOST_LINES)
        self._some, self._ends = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="terminal", daemon=True)
        self._thread.start()

    def write(self, text: str) -> None:
        self._lines.append(text)
        self._some.set()

    def end(self) -> None:
        self._ends = True
        self._some.set()
        self._thread.join(_LAST_S)
        self._lines.clear()

    def _run(self) -> None:
        while not self._ends or self._lines:
            self._some.wait()
            self._some.clear()
            with suppress(IndexError):
                while True:
                    self._put(self._lines.popleft().encode(errors="replace"))

    def _put(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            if self._ends:  # nobody is waiting any more
                return
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._descriptor)
            os.kill(os.getpid(), signal.SIGHUP)


_beside: _Writer | None = None
_shown = ""  # the line that stays below


def size_text(size_bytes: int) -> str:
    """Bytes as they are read, with two decimals: MB below 10 MB, else GB."""
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 1e7 else f"{size_bytes / 1e6:.2f} MB"
