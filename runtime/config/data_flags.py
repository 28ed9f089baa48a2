"""The flags `--data.*`, beside `--data DIR`: how demonstrations are read where files do not say it (models/data/reading.py).
Called by the command lines that take demonstrations.

A command with a robot's settings has them in the same tree; `parted` takes them out again.
"""

from collections.abc import Mapping
from typing import Any

from models.data.reading import AS_IT_COMES, Reading, written
from runtime.config import overrides
from runtime.config.settings import Settings
from runtime.errors import SettingsError

NAMES = tuple(f"data.{name}" for name in Reading.model_fields)


class SettingsAndData(Settings):
    """A robot's settings, and how demonstrations are read."""

    data: Reading = AS_IT_COMES


def parted(given: Mapping[str, Any]) -> tuple[Reading, dict[str, Any]]:
    """How demonstrations are read, and what is given besides. Raises SettingsError for a value that is none."""
    values: Any = given.get("data", {})
    reading = overrides.over(AS_IT_COMES, values, "data")
    return reading, {name: value for name, value in given.items() if name != "data"}


def check_used(given: Mapping[str, Any], there: bool, needs: str) -> None:
    """Refuse `--data.*` where no demonstrations are read: `needs` is what is missing. Raises SettingsError."""
    if given.get("data") and not there:
        name = next(iter(given["data"]))
        raise SettingsError(f"--data.{name}: needs {needs}; give it, or leave --data.{name} out")


def words(reading: Reading) -> list[str]:
    """The flags that stand for it, a word each."""
    changed = reading.model_dump(exclude_defaults=True)
    return [word for name, value in changed.items() for word in (f"--data.{name}", written(value))]
