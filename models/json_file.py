"""Reads a JSON file of a checkpoint or of published weights; whatever is wrong with it becomes one line that names its remedy.

Called by models/identity.py, models/checkpoint.py, models/tensors.py and models/published.py. Loads no torch.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from models import refusal
from models.config.part import Part
from models.errors import ModelError

Group = TypeVar("Group", bound=Part)

_LONGEST = 60  # letters of a value, or of what a parser says, that are shown; chosen: the line still fits a screen


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
        raise ModelError(f"{named} cannot be read (not a JSON object: {refusal.as_json(values)}); {remedy}")
    return cast(dict[str, Any], values)


def texts(values: Mapping[str, Any], path: Path, remedy: str) -> dict[str, str]:
    """Entries that must all be texts, as checksums by name. Raises ModelError with the first that is not."""
    for name, value in values.items():
        if not isinstance(value, str):
            raise ModelError(
                f"{path}: cannot be read ({refusal.as_json(name)}: {refusal.as_json(value)} is no text); {remedy}"
            )
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
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":  # what Python's parser takes and pydantic's does not
            why = f"not JSON: {first.get('ctx', {}).get('error', '')}"[:_LONGEST]
        else:
            why = refusal.line(error, kind, values, refusal.place_of, in_json=True)
        raise ModelError(f"{named} cannot be read ({why}); {remedy}") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:_LONGEST]
