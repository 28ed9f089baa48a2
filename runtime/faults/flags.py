"""The command line of `faults`. Read by runtime/cli.py before the command is loaded."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from runtime.config.command_line import CommandLine, Flags
from runtime.config.field import Says
from runtime.config.output_paths import check_writable


class FaultsFlags(Flags):
    """Put every fault of the matrix into running simulated robots, and measure when it is told and when the arms hold."""

    only: Annotated[str | None, Says(metavar="NAME")] = None
    """Only the rows whose names begin so."""
    repeats: int = Field(default=5, ge=1, le=100)
    """Runs of each robot, every row once in each; median and worst are reported."""
    sessions: Annotated[Path | None, Says(metavar="DIR")] = None
    """Keep the sessions of the runs in this folder; default: they are removed."""
    json_file: Annotated[Path | None, Says(metavar="FILE", expects="a file")] = Field(
        default=None, validation_alias="json"
    )
    """Write all figures and samples to this file."""


def _check(flags: FaultsFlags, _given: dict[str, Any]) -> None:
    if flags.json_file is not None:
        check_writable(flags.json_file, "--json")


FAULTS = CommandLine("faults", FaultsFlags, check=_check)
