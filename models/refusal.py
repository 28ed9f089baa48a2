"""What is wrong with settings, in one line: the setting, the value, what is allowed. Called by whoever checks settings: of
flags, of profiles, of the JSON files of a checkpoint.

pydantic says where and of which kind; the words are ours, so that none of its own are shown.
"""

import difflib
import json
from collections.abc import Callable, Iterable
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from models import field
from models.field import Field

_LONGEST_VALUE = 60  # letters of a refused value that are shown; chosen: the line still fits a terminal of 120 columns
Named = Callable[
    [Field], str
]  # how a setting is written where it came from: --safety.velocity, or FILE: safety.velocity


def flag_of(setting: Field) -> str:
    """The setting as a flag of the tree: --safety.velocity."""
    return f"--{setting.name}"


def place_of(setting: Field) -> str:
    """The setting as a place in a JSON file: head.steps."""
    return setting.name if setting.name.isprintable() else as_json(setting.name)


def line(
    error: ValidationError,
    model: type[BaseModel],
    values: dict[str, Any],
    named: Named = flag_of,
    in_json: bool = False,
    what: str = "setting",
) -> str:
    """One line about the first thing that is wrong.

    Args:
        error: As pydantic raised it.
        model: That it checked.
        values: That were given.
        named: How a setting is called there: as a flag, or as a place in a file.
        in_json: Whether they stand in a JSON file, as what it writes, and not as flags or in a profile.
        what: A value of the model, in a word.
    """
    first = error.errors(include_url=False)[0]
    path = first["loc"]
    if first["type"] == "extra_forbidden":
        return _unknown(model, path, named, what, "" if in_json else "; --help-all lists the settings")
    setting = field.find(model, path)
    if first["type"] in ("value_error", "assertion_error"):  # a check of ours, which says all by itself
        text = str(first["msg"]).partition(", ")[2]
        return text if setting is None or text.startswith("--") else f"{named(setting)}: {text}"
    if setting is None:
        return f"{as_json(first['input']) if in_json else shown(first['input'])}: must be a table of {what}s"
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):  # of a group of several kinds
        setting = field.find(model, (*setting.path, str(setting.info.discriminator))) or setting
    value = given(values, setting.path, path)
    missing = first["type"] == "missing" and isinstance(path[-1], str)  # else one of several values is
    if missing or (value is None and first["input"] is not None):
        return f"{named(setting)} is missing; give {setting.expected()}"
    return refused(setting, value, named, in_json)


def refused(setting: Field, value: Any, named: Named = flag_of, in_json: bool = False) -> str:
    """One line that refuses a value: the setting, the value, what it must be."""
    text = as_json(value) if in_json else shown(value)
    return f"{named(setting)} {text}: must be {setting.expected()}{_nearest_choice(setting, value)}"


def shown(value: Any) -> str:
    """A value as the writer of a flag or a profile would know it, on one line, cut where it is long."""
    if isinstance(value, list | tuple):
        text = ",".join(str(item) for item in cast(list[object], value)).strip() or "(empty)"
    elif isinstance(value, dict | bool):
        return as_json(value)
    else:
        text = "(empty)" if value == "" else str(value)
    return _cut(text if text.isprintable() else repr(text))


def as_json(value: Any) -> str:
    """A value as JSON has it, on one line of ASCII, cut where it is long."""
    if isinstance(value, int) and abs(value) >= 10**_LONGEST_VALUE:  # Python writes no number of thousands of digits
        return "a number of more than 60 digits"
    if isinstance(value, list | tuple):  # the rest would be cut off, and takes time
        value = cast(list[object], value)[:_LONGEST_VALUE]
    try:
        return _cut(json.dumps(value, default=_foreign, skipkeys=True))
    except RecursionError:
        return "a deeply nested value"


def _foreign(value: object) -> str:
    """What stands for a value that JSON does not have."""
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean ...?)` with the known name that was probably meant; empty where none is close."""
    names = list(known)
    last = name.rpartition(".")[2]
    ends = [other for other in names if other.rpartition(".")[2] == last]
    close = ends[:1] or difflib.get_close_matches(name, names, n=1, cutoff=0.65)
    if not close:  # a flag that begins so, or a group's setting that nearly ends so
        tails = {other.rpartition(".")[2]: other for other in names}
        close = [tails[tail] for tail in difflib.get_close_matches(last, list(tails), n=1, cutoff=0.75)]
    return f"; did you mean {close[0]}?" if close else ""


def _unknown(model: type[BaseModel], path: tuple[str | int, ...], named: Named, what: str, lists: str) -> str:
    """One line that refuses a setting nobody knows, with the nearest known one."""
    above = field.find(model, path[:-1])
    unknown = Field((*(above.path if above else ()), _cut(str(path[-1]))), FieldInfo())
    known = (setting.name for setting in field.leaves(model))
    return f"{named(unknown)}: unknown {what}{nearest(unknown.name, known) or lists}"


def given(values: Any, path: tuple[str, ...], places: Iterable[str | int] = ()) -> Any:
    """The value at a path in a tree of plain values; where a group on the way is none, what stands in its place.

    Args:
        values: The tree.
        path: Names of groups, and of the setting in the last of them.
        places: The same with a number wherever a group is one of several.
    """
    numbers = [part for part in places if isinstance(part, int)]
    for name in path:
        if isinstance(values, list | tuple) and numbers:
            values = cast(list[object], values)[numbers.pop(0)]
        if not isinstance(values, dict):
            break
        values = cast(dict[str, Any], values).get(name)
    return values


def _nearest_choice(setting: Field, value: Any) -> str:
    close = difflib.get_close_matches(str(value)[:_LONGEST_VALUE], setting.choices, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
