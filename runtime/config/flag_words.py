"""The words of a command line before they are parsed: flags nobody knows, given twice or without a value are one line.

Called by runtime/config/command_line.py with the flags that pydantic-settings made.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from models import refusal
from models.field import Field
from runtime.config import renamed
from runtime.errors import SettingsError

_SWITCHED = {"true": True, "false": False}


@dataclass(frozen=True)
class Flag:
    """One spelling of a flag: --can, --no-can, --ratio."""

    name: str
    setting: Field
    switch: bool
    both: bool = False  # it can be switched on and off

    def other(self) -> str:
        """The spelling that means the contrary."""
        return f"--{self.name[5:]}" if self.name.startswith("--no-") else f"--no-{self.name[2:]}"


def sorted_words(arguments: Sequence[str], known: Mapping[str, Flag], room: int | None) -> list[str]:
    """The same line as argparse reads it without doubt: words, then each flag with its value by an equals sign.

    `room`: how many words without a flag there may be, None: any number. Raises SettingsError.
    """
    texts: list[str] = []
    flags: dict[str, tuple[Flag, str | None]] = {}
    left = list(reversed(arguments))
    while left:
        word = left.pop()
        name, equals, value = word.partition("=")
        if not _is_flag(word):
            texts.append(word)
            continue
        flag = _known(name, known, value if equals else left[-1] if left else "")
        text = value if equals else left.pop() if left and _takes(flag, left[-1]) else None
        if flag.setting.name in flags:
            before = flags[flag.setting.name]
            raise SettingsError(f"{flag.name} is given twice: {_shown(*before)} and {_shown(flag, text)}; give it once")
        flags[flag.setting.name] = flag, text
    if room is not None and len(texts) > room:
        raise SettingsError(
            f"{refusal.shown(texts[room])}: unexpected word; a flag begins with --, and --help lists the flags"
        )
    return [*texts, *(_checked(flag, text) for flag, text in flags.values())]


def parted(text: str) -> list[str]:
    """Several texts of one value: with commas between them, or a JSON list where a text itself has a comma."""
    if text.startswith("["):
        try:
            several: object = json.loads(text)
        except (ValueError, RecursionError):
            several = None
        if isinstance(several, list):
            return [str(item) for item in cast(list[object], several)]
    return [part.strip() for part in text.split(",")]


def _takes(flag: Flag, word: str) -> bool:
    """Whether the word after a flag is its value."""
    return word in _SWITCHED if flag.both else not flag.switch and not _is_flag(word)


def _is_flag(word: str) -> bool:
    return word.startswith("--") and len(word) > 2


def _known(name: str, known: Mapping[str, Flag], value: str) -> Flag:
    for spelling in (name, f"--{name[2:].replace('-', '_')}", f"--{name[2:].replace('_', '-')}"):
        if spelling in known:
            return known[spelling]
    if name[2:] in renamed.GONE:
        raise SettingsError(f"{name}: {renamed.GONE[name[2:]]}")
    if (new := renamed.SETTINGS.get(name[2:])) is not None:
        raise SettingsError(f"{name}: is now {new.said(value)}")
    if (new_flag := renamed.FLAGS.get(name[2:])) in {flag[2:] for flag in known}:
        raise SettingsError(f"{name}: is now --{new_flag} {value}")
    raise SettingsError(f"unknown flag {name:.60}{refusal.nearest(name, known) or '; --help lists the flags'}")


def _checked(flag: Flag, text: str | None) -> str:
    """A flag with its value as argparse takes it. Raises SettingsError for what is no value at all."""
    if flag.switch:
        if text is not None and not (flag.both and text in _SWITCHED):
            remedy = f"give {flag.name} or {flag.other()}" if flag.both else f"give {flag.name} alone, or leave it out"
            raise SettingsError(f"{flag.name} {refusal.shown(text)}: takes no value; {remedy}")
        return flag.name if _SWITCHED[text or "true"] else flag.other()
    if text is None:
        raise SettingsError(f"{flag.name} needs a value: {flag.setting.expected()}")
    if text == "" and flag.setting.kinds == (Path,):
        raise SettingsError(refusal.refused(flag.setting, text, lambda _: flag.name))
    if flag.setting.is_several:
        _check_list(flag, text)
    if flag.setting.is_group:
        _check_group(flag, text)
    return f"{flag.name}={text}"


def _check_list(flag: Flag, text: str) -> None:
    """Check a list of numbers here: argparse cannot even hand on what is none. Raises SettingsError."""
    if flag.setting.of_numbers and not all(_is_number(part) for part in _parts(text)):
        raise SettingsError(refusal.refused(flag.setting, text, lambda _: flag.name))


def _check_group(flag: Flag, text: str) -> None:
    try:
        if isinstance(json.loads(text), dict):
            return
    except (ValueError, RecursionError):
        pass
    raise SettingsError(
        f"{flag.name} {refusal.shown(text)}: is a group of settings; set {flag.name}.NAME, or give all of it as JSON"
    )


def _parts(text: str) -> Iterator[str]:
    return (part.strip() for part in text.strip().removeprefix("[").removesuffix("]").split(","))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _shown(flag: Flag, text: str | None) -> str:
    return flag.name if text is None else refusal.shown(text)
