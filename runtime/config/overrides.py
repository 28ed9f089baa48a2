"""Flags like `--cloning.samples 64` over a group of checked values; used by training and evaluation."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from runtime.config.profile import merge
from runtime.errors import SettingsError

Group = TypeVar("Group", bound=BaseModel)


def parse(flags: Sequence[str], groups: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Values by group, from flags with a value each (`--a.b value` or `--a.b=value`). Raises SettingsError."""
    found: dict[str, dict[str, Any]] = {group: {} for group in groups}
    left = iter(flags)
    for flag in left:
        name, equals, value = flag.partition("=")
        text = value if equals else next(left, None)
        group, *path = name.removeprefix("--").split(".")
        if group not in found or not path:
            raise SettingsError(
                f"unknown {name}; --help lists all flags, and the groups {', '.join(groups)} have their own"
            )
        if text is None:
            raise SettingsError(f"{name} needs a value")
        place = found[group]
        for part in path[:-1]:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise SettingsError(f"{name}: the whole of {part} is given already; give one of both")
        place[path[-1]] = _value(text)
    return found


def over(group: Group, values: dict[str, Any], name: str) -> Group:
    """The group with some values changed, checked again. Raises SettingsError that names the flag."""
    if not values:
        return group
    try:
        return type(group).model_validate(merge(group.model_dump(), values, kinds=True))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"--{name}{'.' if where else ''}{where}: {first['msg']} (got {first['input']!r:.60})"
        ) from None


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
