"""The command line of `faults`. Read by runtime/cli.py before the command is loaded."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from models.field import Says
from runtime.config.command_line import CommandLine, Flags
from runtime.config.output_paths import check_folder, check_json

_INSTEAD = ("endurance", "starts", "packets")


class FaultsFlags(Flags):
    """Put every fault of the matrix into running simulated robots, and measure when each is reported and when the arms hold."""

    only: Annotated[str | None, Says(metavar="NAME")] = None
    """Only the faults whose names begin with this."""
    names: bool = False
    """Only print the names of all faults; no robot is started."""
    repeats: int = Field(default=5, ge=1, le=100)
    """Runs of each robot, every row once in each; median and worst are reported."""
    endurance: float | None = Field(default=None, gt=0, le=10_000)
    """Instead of the matrix: run for this many minutes with the console open, and measure how memory, descriptors and threads
    grow."""
    starts: int | None = Field(default=None, ge=1, le=10_000)
    """Instead of the matrix: start and stop a robot this many times; nothing may be left behind."""
    packets: int | None = Field(default=None, ge=3, le=10**8)
    """Instead of the matrix: send this many damaged packets to the live sockets; no process may end, and each is counted."""
    sessions: Annotated[Path | None, Says(metavar="DIR")] = None
    """Keep the sessions of the runs in this folder; default: they are removed."""
    json_file: Annotated[Path | None, Says(metavar="FILE", expects="a file")] = Field(
        default=None, validation_alias="json"
    )
    """Write all figures and samples to this file."""

    @model_validator(mode="after")
    def _exclusive(self) -> Self:
        self.check_one_of(("only", "names", *_INSTEAD))
        return self


def _check(flags: FaultsFlags, _given: dict[str, Any]) -> None:
    check_json(flags.json_file)
    if flags.sessions is not None:
        check_folder(flags.sessions, "--sessions")
    if flags.only is not None:
        from runtime.faults import robots  # only a name of a row has to wait for them

        robots.chosen(robots.ROBOTS, flags.only)


FAULTS = CommandLine("faults", FaultsFlags, check=_check)
