"""Flags like `--cloning.samples 64` over a group of checked values; used by training and evaluation."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

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
        return type(group).model_validate(_merged(group.model_dump(), values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"--{name}{'.' if where else ''}{where}: {first['msg']} (got {first['input']!r:.60})"
        ) from None


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        deeper = isinstance(under, dict) and isinstance(value, dict) and not _another_kind(under, value)
        merged[key] = _merged(cast(dict[str, Any], under), cast(dict[str, Any], value)) if deeper else value
    return merged


def _another_kind(below: Any, above: Any) -> bool:
    """Whether a part of another kind is asked for, to which the values of the one below mean nothing."""
    return "kind" in above and above["kind"] != below.get("kind")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
