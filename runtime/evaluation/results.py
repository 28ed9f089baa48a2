"""A file of `evaluate --json`, as far as it is compared with another. Read by compare.py, and by flags.py before a simulator is
loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, Field, ValidationError

from models import refusal
from models.field import Says
from runtime.errors import SettingsError
from runtime.host import plain_file

_LARGEST_BYTES = 1 << 24  # of a file of --json; chosen: 10 000 rollouts of six tasks take a hundredth
MAY_DIFFER = ("checkpoint", "ratio", "latencies", "swap", "settings")  # of a file: what is compared, not a hindrance


@dataclass(frozen=True)
class Results:
    """One file: whether each scene was done, by task and seed, and how it was played."""

    path: Path
    outcomes: Mapping[str, Mapping[int, bool]]
    shift: str
    suites: Any  # version of the shift suites; None in files of before
    made_with: Mapping[str, Any]


class _Row(BaseModel):
    """One task in a file, as far as it is compared."""

    task: str
    outcomes: Annotated[str, Says(expects="a text of 0 and 1, one for each scene")] = Field(pattern="^[01]+$")
    """Of each scene, in the order of the seeds."""


class _Record(BaseModel):
    """A file, likewise."""

    rows: list[_Row] = Field(min_length=1)
    first_seed: int
    shift: str
    suites: Any = None


def read(path: Path) -> Results:
    """Read a file. Raises SettingsError with one line for one that cannot be compared."""
    plain: Any = None
    try:
        plain = plain_file.json_value(path, _LARGEST_BYTES)
        if isinstance(plain, list):
            raise SettingsError(f"--compare {path}: is a record of a sweep; give a file of evaluate --json")
        record = _Record.model_validate(plain, strict=True)
    except ValidationError as error:
        said = refusal.line(error, _Record, cast(dict[str, Any], plain), refusal.place_of, in_json=True, what="field")
        raise SettingsError(f"--compare {path}: not a file of evaluate --json ({said}); give another file") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"--compare {path}: not a file of evaluate --json ({error}); give another file") from None
    outcomes = {
        row.task: {record.first_seed + place: done == "1" for place, done in enumerate(row.outcomes)}
        for row in record.rows
    }
    return Results(path, outcomes, record.shift, record.suites, {name: plain.get(name) for name in MAY_DIFFER})


def check_fit(a: Results, b: Results) -> None:
    """Raises SettingsError where they have no scene in common, or even scenes of the same seed are others."""
    if a.shift != b.shift:
        raise SettingsError(
            f"--compare {a.path} {b.path}: shifts {a.shift} and {b.shift} are other scenes; play both with one --shift"
        )
    if a.shift != "none" and a.suites != b.suites:
        raise SettingsError(
            f"--compare {a.path} {b.path}: versions {a.suites} and {b.suites} of the shift suites are other scenes; "
            "play the older file again"
        )
    if not any(a.outcomes[task].keys() & b.outcomes[task].keys() for task in a.outcomes.keys() & b.outcomes.keys()):
        raise SettingsError(
            f"--compare {a.path} {b.path}: no scene in common; play both with the same --task and --seed"
        )
