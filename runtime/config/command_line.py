"""The command lines of the small commands (replay, bench, instruct, train): argparse, with every refusal as one line.

robot.sh is not among them: its flags are the settings tree itself (runtime/config/settings.py).
"""

import argparse
import os
import tempfile
from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NoReturn, TypeVar

from runtime.errors import SettingsError

Value = TypeVar("Value")


class Parser(argparse.ArgumentParser):
    """argparse that raises, rather than printing its usage and leaving."""

    def error(self, message: str) -> NoReturn:
        """Raises SettingsError."""
        raise SettingsError(f"{self.prog}: {message}; --help tells more")


def parser(name: str, description: str | None) -> Parser:
    """A parser that `parse` can use."""
    return Parser(prog=name, exit_on_error=False, allow_abbrev=False, description=description)


def parse(made: Parser, arguments: list[str]) -> argparse.Namespace:
    """The options. Raises SettingsError for what is missing, unknown or no number."""
    try:
        options, rest = made.parse_known_args(arguments)
    except (argparse.ArgumentError, argparse.ArgumentTypeError) as error:
        raise SettingsError(f"{error}; --help tells more") from None
    if rest:
        raise SettingsError(f"unknown {rest[0]}; --help lists all flags")
    return options


def without_settings(made: Parser, arguments: list[str], switches: Collection[str] = ()) -> tuple[list[str], list[str]]:
    """Separate the command's own arguments from the flags of the settings tree: all but the `switches` have a value."""
    own: list[str] = []
    settings: list[str] = []
    left = deque(arguments)
    while left:
        argument = left.popleft()
        name, equals, _ = argument.partition("=")
        known = name in made._option_string_actions or name in ("--", "-h")  # pyright: ignore[reportPrivateUsage]
        if not argument.startswith("--") or known:
            own.append(argument)
            continue
        settings.append(argument)
        if not equals and name not in switches and left and not left[0].startswith("--"):
            settings.append(left.popleft())
    return own, settings


def check_writable(path: Path, flag: str) -> None:
    """Say at the start, not after hours, that a file cannot be written there. Raises SettingsError."""
    folder = path.absolute().parent
    if path.is_dir():
        raise SettingsError(f"{flag} {path}: is a folder; name a file in it")
    if not folder.is_dir():
        raise SettingsError(f"{flag} {path}: there is no such folder; make it first")
    _check_may_write(path if path.exists() else folder, path, flag)


def check_folder(path: Path, flag: str) -> None:
    """Say at the start that a folder cannot be made or written there; makes nothing. Raises SettingsError."""
    there = path.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise SettingsError(f"{flag} {path}: {there} is a file; name a folder")
    _check_may_write(there, path, flag)


def _check_may_write(there: Path, path: Path, flag: str) -> None:
    """By a trial: root may write everywhere as permissions go, but not in /proc."""
    try:
        if there.is_dir():
            with tempfile.TemporaryFile(dir=there):
                pass
        elif not os.access(there, os.W_OK):
            raise PermissionError
    except OSError:
        raise SettingsError(f"{flag} {path}: you may not write there; choose another") from None


def make_folder(path: Path, flag: str) -> None:
    """Make a folder for what will be written, where it is not there yet. Raises SettingsError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{flag} {path}: cannot make this folder ({error.strerror}); choose another") from None


def whole(low: int, high: int) -> Callable[[str], int]:
    """A type for argparse: a whole number within limits."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r:.40}") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be {low} to {high}, got {value}")
        return value

    return number


def several(one: Callable[[str], Value]) -> Callable[[str], tuple[Value, ...]]:
    """A type for argparse: values with commas between them, each once."""

    def values(text: str) -> tuple[Value, ...]:
        return tuple(dict.fromkeys(one(part.strip()) for part in text.split(",")))

    return values
