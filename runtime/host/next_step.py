"""The last line of every command: what to type next, ready to be copied.
Called by the mains of all commands.
"""

import shlex
from pathlib import Path

from runtime.host.terminal import say

_SCRIPTS = Path(__file__).parents[2] / "launch"


def say_next(aim: str, command: str, *words: str | Path) -> None:
    """Print the command to type next. `aim` is a verb with its object; words in capitals are to be filled in."""
    say(f"video2act: next, to {aim}: {typed(command, *words)}")


def typed(command: str, *words: str | Path) -> str:
    """A command as somebody types it here: by its script in a checkout, by the program where only that is installed."""
    script = _SCRIPTS / f"{command}.sh"
    program = shown(script) if script.is_file() else f"video2act {command}"
    program = f"./{program}" if script.is_file() and not program.startswith(("/", ".")) else program
    return " ".join((program, *(shown(word) if isinstance(word, Path) else shlex.quote(word) for word in words)))


def shown(path: Path) -> str:
    """A path as somebody would type it from here."""
    here = Path.cwd()
    full = path.absolute()
    return shlex.quote(str(full.relative_to(here) if full.is_relative_to(here) else path))
