"""The command lines of the small commands (replay, bench, instruct): argparse, with every refusal as one line.

robot.sh is not among them: its flags are the settings tree itself (runtime/config.py).
"""

import argparse

from runtime.errors import SettingsError


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """A parser that `parse` can use."""
    return argparse.ArgumentParser(prog=name, exit_on_error=False, description=description)


def parse(made: argparse.ArgumentParser, arguments: list[str], example: str) -> tuple[argparse.Namespace, list[str]]:
    """The options and what was not understood. Raises SettingsError; `example` shows a whole command."""
    try:
        return made.parse_known_args(arguments)
    except (argparse.ArgumentError, argparse.ArgumentTypeError) as error:
        raise SettingsError(f"{error}; --help tells more") from None
    except SystemExit as end:
        if end.code in (0, None):  # --help
            raise
        raise SettingsError(f"{example}; --help tells more") from None


def none_left(rest: list[str]) -> None:
    """Refuse what was not understood."""
    if rest:
        raise SettingsError(f"unknown {rest[0]}; --help lists all flags")
