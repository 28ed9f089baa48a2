"""The command lines of `export` and `trace`. Read by runtime/cli.py before these commands are loaded."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg

from models.field import Says
from runtime.config.command_line import CommandLine, Flags
from runtime.config.output_paths import check_folder, check_writable


class ExportFlags(Flags):
    """Convert recorded sessions to demonstrations for training."""

    sessions: CliPositionalArg[
        Annotated[tuple[Path, ...], Says(expects="one or more folders of sessions, or their MCAP files")]
    ] = Field(min_length=1)
    """Folders of sessions, or their MCAP files."""
    to: Literal["hdf5", "lerobot", "act", "rdt", "robotwin"]
    """Format of the demonstrations; act, rdt and robotwin: as ACT, RDT-1B and RoboTwin load them."""
    out: Annotated[Path, Says(metavar="DIR", expects="a folder to write to")]
    """Folder to write to."""
    failures: bool = False
    """Include episodes that the operator judged a failure."""


class TraceFlags(Flags):
    """Convert a session to a trace for ui.perfetto.dev: one track per process, ages, and arrows from frame to arms."""

    session: CliPositionalArg[Annotated[Path, Says(expects="the folder of a session, or its MCAP file")]]
    """Folder of a session, or its MCAP file."""
    out: Annotated[Path | None, Says(metavar="FILE")] = None
    """File to write; default: trace.json.gz beside the session file."""


def _check_export(flags: ExportFlags, _given: dict[str, Any]) -> None:
    check_folder(flags.out, "--out")


def _check_trace(flags: TraceFlags, _given: dict[str, Any]) -> None:
    if flags.out is not None:
        check_writable(flags.out, "--out")


EXPORT = CommandLine("export", ExportFlags, check=_check_export)
TRACE = CommandLine("trace", TraceFlags, check=_check_trace)
