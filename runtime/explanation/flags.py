"""The command line of `explain`. Read by runtime/cli.py before torch is loaded."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic_settings import CliPositionalArg

from models.field import Says
from runtime.config.command_line import CommandLine, Flags
from runtime.config.input_paths import check_settings
from runtime.config.output_paths import check_folder, check_json
from runtime.config.settings import Settings
from runtime.errors import SettingsError
from runtime.replay.flags import names

_OF_SYSTEMS = ("device", "dtype", "threads")
Second = Annotated[float, Field(ge=0, le=1e6)]


class ExplainFlags(Flags):
    """Show which parts of the pictures move the arms: Grad-CAM of a policy's image encoder and of its video model.

    The scalar is the squared arm motion of a chunk's first 16 free targets, in rad^2. Grad-CAM weighs a layer's channels by
    their mean gradient. Below a filter this mean is 0, so each place there is weighed by its own gradient. A strip of
    pictures is written for each session, and one table is printed. --policy.checkpoint DIR takes another policy than the
    recorded one.
    """

    sessions: CliPositionalArg[
        Annotated[tuple[Path, ...], Says(expects="one or more folders of sessions, or their MCAP files")]
    ] = Field(min_length=1)
    """Folders of sessions, or their MCAP files."""
    at: Annotated[tuple[Second, ...], Says(metavar="SECONDS", expects="times since the session began, s")] = ()
    """Moments, in s since the session began; each shows the last chunk before it."""
    moments: int = Field(default=6, ge=1, le=24)
    """Without --at: this many, spread over the time in which the arms ran."""
    out: Annotated[Path | None, Says(metavar="DIR", expects="a folder")] = None
    """Folder of the strips; default: explanation.png in each session's folder."""
    json_file: Annotated[Path | None, Says(metavar="FILE", expects="a file"), Field(validation_alias="json")] = None
    """Write all figures to this file."""


def _check(flags: ExplainFlags, given: dict[str, Any]) -> None:
    for name in names(given):
        group, _, own = name.partition(".")
        if group != "policy" and not (group in ("system1", "system2") and own in _OF_SYSTEMS):
            raise SettingsError(f"--{name}: cannot be changed after the run; give --policy... or --system1.device")
    check_settings(given)
    if flags.out is not None:
        check_folder(flags.out, "--out")
    check_json(flags.json_file)


EXPLAIN = CommandLine("explain", ExplainFlags, Settings, ("policy.checkpoint", "system1.device"), check=_check)
