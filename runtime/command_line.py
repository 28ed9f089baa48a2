"""The command lines of the small commands (replay, bench, instruct, train): argparse, with every refusal as one line.

robot.sh is not among them: its flags are the settings tree itself (runtime/config.py).
"""

import argparse
from collections.abc import Callable
from typing import NoReturn

from runtime.errors import SettingsError


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


def without_settings(made: Parser, arguments: list[str]) -> tuple[list[str], list[str]]:
    """Separate the command's own arguments from the flags of the settings tree, each of which has a value."""
    own: list[str] = []
    settings: list[str] = []
    left = iter(arguments)
    for argument in left:
        name, equals, _ = argument.partition("=")
        known = name in made._option_string_actions or name in ("--", "-h")  # pyright: ignore[reportPrivateUsage]
        if not argument.startswith("--") or known:
            own.append(argument)
            continue
        settings.append(argument)
        if not equals and (value := next(left, None)) is not None:
            settings.append(value)
    return own, settings


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
