"""`faults.json` in a run's folder: what goes wrong in a simulated robot, switched while it runs. A section an arm or camera.
Read by the emulated arms, the simulated cameras and System 2's networks; written by hand or by the command `faults`.

{"left": {"silent": true}, "head": {"frozen": true}}      see drivers/piper_emulator.py, drivers/sim/faulty_camera.py,
                                                           and runtime/systems/faulty_system2.py
"""

import json
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from models import refusal
from models.field import Field
from runtime.process.base import log

NAME = "faults.json"
Faults = TypeVar("Faults", bound=BaseModel)


class FaultFile(Generic[Faults]):
    """Reads sections of one kind, when the file changes. A broken file is a line in the log, and nothing changes."""

    def __init__(self, folder: Path, kind: type[Faults], sections: tuple[str, ...]) -> None:
        self._path, self._kind, self._sections = folder / NAME, kind, sections
        self._seen_ns = 0

    def changed(self) -> dict[str, Faults] | None:
        """All sections if the file has changed since the last call, those too that it leaves out; None while it has not."""
        try:
            changed_ns = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if changed_ns == self._seen_ns:
            return None
        self._seen_ns = changed_ns
        try:
            wanted = json.loads(self._path.read_text())
            return {name: self._section(name, wanted.get(name, {})) for name in self._sections}
        except (OSError, ValueError, AttributeError) as error:
            log.error(
                "%s: cannot be read (%s); the injected faults stay unchanged",
                self._path,
                " ".join(str(error).split()[:20]),
            )
            return None

    def _section(self, name: str, values: Any) -> Faults:
        """Raises ValueError with one line."""
        try:
            return self._kind.model_validate(values)
        except ValidationError as error:
            above = partial(_below, name)
            raise ValueError(refusal.line(error, self._kind, values, above, in_json=True)) from None


def _below(section: str, field: Field) -> str:
    return f"{section}.{field.name}"
