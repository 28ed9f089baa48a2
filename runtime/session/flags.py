"""The command lines of `export` and `trace`. Read by runtime/cli.py before these commands are loaded."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg

from runtime.config.command_line import CommandLine, Flags
from runtime.config.field import Says


class ExportFlags(Flags):
    """Turn recorded sessions into demonstrations to train on."""

    sessions: CliPositionalArg[
        Annotated[tuple[Path, ...], Says(expects="one or more sessions' folders or MCAP files")]
    ] = Field(min_length=1)
    """Sessions' folders, or their MCAP files."""
    to: Literal["hdf5", "lerobot"]
    """Format of the demonstrations."""
    out: Annotated[Path, Says(metavar="DIR", expects="a folder to write to")]
    """Folder to write to."""
    failures: bool = False
    """Also export episodes that the operator called a failure."""


class TraceFlags(Flags):
    """Turn a session into a trace for ui.perfetto.dev: a track a process, counters of ages, arrows from picture to arms."""

    session: CliPositionalArg[Annotated[Path, Says(expects="a session's folder or its MCAP file")]]
    """A session's folder or its MCAP file."""
    out: Annotated[Path | None, Says(metavar="FILE")] = None
    """File to write; without it trace.json.gz beside the session's file."""


EXPORT = CommandLine("export", ExportFlags)
TRACE = CommandLine("trace", TraceFlags)
