"""Reads a JSON file of a checkpoint or of published weights; whatever is wrong with it becomes one line that names its remedy.

Called by models/identity.py, models/checkpoint.py, models/tensors.py and models/published.py. Loads no torch.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from models.config.part import Part
from models.errors import ModelError

Group = TypeVar("Group", bound=Part)

_LONGEST = 60  # letters of a value, or of what a parser says, that are shown; chosen: the line still fits a screen
_WORDS = {  # what each kind of refusal by pydantic is in words; most have several kinds that begin alike
    "extra_forbidden": "unknown field",
    "missing": "is missing",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be above {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be below {lt}",
    "too_short": "must have at least {min_length} values",
    "too_long": "must have at most {max_length} values",
    "literal_error": "must be {expected}",
    "union_tag": "must have one of the known kinds",
    "finite_number": "must be finite",
    "string_pattern_mismatch": "must be one line of plain letters",
    "string_too_long": "must have at most {max_length} letters",
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "string": "must be a text",
    "tuple": "must be a list",
    "model": "must be a table",
}


def table(path: Path, named: str, remedy: str) -> dict[str, Any]:
    """The entries of a file that holds one JSON object.

    Args:
        path: the file.
        named: how a line begins that says it cannot be read.
        remedy: what the user does about it.

    Returns:
        The object, as Python's parser gives it.

    Raises:
        ModelError: it is not there, no JSON, too deeply nested, or another kind of value; one line.
    """
    try:
        values = json.loads(path.read_text())
    except OSError as error:
        raise ModelError(f"{named} cannot be read ({error.strerror}); {remedy}") from None
    except ValueError as error:
        raise ModelError(f"{named} cannot be read (not JSON: {_one_line(error)}); {remedy}") from None
    except RecursionError:
        raise ModelError(f"{named} cannot be read (too deeply nested); {remedy}") from None
    if not isinstance(values, dict):
        raise ModelError(f"{named} cannot be read (not a JSON object: {shown(values)}); {remedy}")
    return cast(dict[str, Any], values)


def texts(values: Mapping[str, Any], path: Path, remedy: str) -> dict[str, str]:
    """Entries that must all be texts, as checksums by name. Raises ModelError with the first that is not."""
    for name, value in values.items():
        if not isinstance(value, str):
            raise ModelError(f"{path}: cannot be read ({shown(name)}: {shown(value)} is no text); {remedy}")
    return dict(values)


def group(kind: type[Group], path: Path, named: str, remedy: str) -> Group:
    """A group of settings out of its file.

    Args:
        kind: the group's class.
        path: the file.
        named: as in `table`.
        remedy: likewise.

    Returns:
        The group, checked.

    Raises:
        ModelError: one line with the first field that is wrong, its value and what it must be.
    """
    values = table(path, named, remedy)
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ModelError(f"{named} cannot be read ({why(error, values)}); {remedy}") from None


def why(error: ValidationError, values: Mapping[str, Any]) -> str:
    """What is wrong first: the field, its value, what it must be.

    Args:
        error: as pydantic raised it.
        values: what was given, by which a union's tag is told from a field in the error's place.

    Returns:
        Half a line.
    """
    first = error.errors(include_url=False)[0]
    kind, place = first["type"], _place(first["loc"], values)
    if kind == "json_invalid":  # what Python's parser takes and pydantic's does not
        return f"not JSON: {first.get('ctx', {}).get('error', '')}"[:_LONGEST]
    if kind == "value_error":  # a check of ours, which says all by itself
        said = str(first["msg"]).partition(", ")[2]
        return f"{place}: {said}" if place else said
    known = next((words for begin, words in _WORDS.items() if kind.startswith(begin)), "is not what it must be")
    said = known.format_map(first.get("ctx", {}))
    if kind == "missing":
        return f"{place} {said}"
    return f"{place}: {said}" if kind == "extra_forbidden" else f"{place} {shown(first['input'])}: {said}"


def shown(value: Any) -> str:
    """A value as JSON has it, on one line of ASCII, cut where it is long."""
    if isinstance(value, int) and abs(value) >= 10**_LONGEST:  # Python writes no number of thousands of digits
        return "a number of more than 60 digits"
    try:
        text = json.dumps(value, default=str)
    except RecursionError:
        return "a deeply nested value"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _place(path: tuple[int | str, ...], values: Any) -> str:
    """A field's place with dots, without the tags of unions, which stand in no file."""
    named: list[str] = []
    for part in path:
        here: Any = values
        inside = isinstance(here, list) or (isinstance(here, dict) and part in here)
        if not inside and part != path[-1]:
            continue
        named.append(str(part))
        values = cast(Any, here)[part] if inside and (isinstance(here, dict) or int(part) < len(here)) else None
    return ".".join(f"{name:.60}" if name.isprintable() else shown(name) for name in named)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:_LONGEST]
