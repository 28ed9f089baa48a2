"""The table of a run as a file: whole or not at all, and read from folders that came from elsewhere.
Written by the recorder, what-if and the robot command, which reads it back; read by the console's list of sessions.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from runtime.host import plain_file, whole_file
from runtime.session.format import SUMMARY_NAME

_LARGEST_BYTES = 1 << 20  # chosen: a table takes 2 KB
_RENAMED = {"faults": "fault_reports"}  # rows of 0.1.0 and what they are called since


def write(path: Path, table: Mapping[str, Any]) -> None:
    """Write a table as JSON. Raises OSError, and leaves what was there."""
    whole_file.write(path, json.dumps(table, indent=1).encode() + b"\n")


def read(folder: Path) -> dict[str, Any]:
    """The table in a session's or run's folder; empty where there is none, or something else under its name.

    Rows that were renamed have their new names.
    """
    try:
        table: object = json.loads(plain_file.read(folder / SUMMARY_NAME, _LARGEST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    rows = cast(dict[str, Any], table) if isinstance(table, dict) else {}
    return {_RENAMED.get(name, name): value for name, value in rows.items()}
