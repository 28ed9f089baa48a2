"""What --help says of a flag: its docstring, its choices or unit, and the value it has where nobody gives it.

Called by runtime/config/command_line.py; argparse lays it out, as wide as the terminal.
"""

import argparse
from pathlib import Path
from typing import Any, cast

from pydantic_core import PydanticUndefined

from models.field import Field

_FLAG_COLUMNS = 30  # chosen: six more than argparse's own, since most flags of the tree are longer than that


class Formatter(argparse.HelpFormatter):
    """argparse's layout: flags in a column of 30 letters, their help beside or below them."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=_FLAG_COLUMNS)


def of(setting: Field, values: dict[str, Any] | None, metavar: str) -> str:
    """A flag's help.

    Args:
        setting: The flag's.
        values: Of the tree, where they differ from the model's defaults; None: nobody knows them here.
        metavar: How its value is written in the usage.

    Returns:
        Its description, its unit or choices where the metavar does not show them, and the value without the flag.
    """
    reported = " ".join((setting.info.description or "").split())
    choices = ", ".join(setting.choices)
    default = _default(setting, values) if values is not None else ""
    parts = [
        f"one of {choices}" if choices and not set(setting.choices) <= set(metavar.split("|")) else "",
        default or setting.unit,
    ]
    notes = "; ".join(filter(None, parts))
    text = f"{reported} ({notes})" if reported and notes else reported or notes
    return text.replace("%", "%%")


def _default(setting: Field, values: dict[str, Any]) -> str:
    value: Any = values
    for name in setting.path:
        if value is None:  # a group that need not be there: what is required is so within it
            return ""
        value = (
            cast(dict[str, Any], value).get(name, PydanticUndefined) if isinstance(value, dict) else PydanticUndefined
        )
    if value is PydanticUndefined:
        value = setting.info.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "" if setting.is_several else "required"
    if isinstance(value, bool):
        return f"default {'on' if value else 'off'}" if "." in setting.name or value else ""
    several = cast(tuple[Any, ...], value) if isinstance(value, tuple | list) else (value,)
    if all(item is None or item == "" for item in several):
        return ""
    return f"default {','.join(map(_number, several))} {setting.unit}".rstrip()


def _number(value: object) -> str:
    if isinstance(value, Path):
        return str(value.relative_to(Path.cwd())) if value.is_relative_to(Path.cwd()) else str(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
