"""The command lines of `weights` and `instruct`. Read by runtime/cli.py before these commands are loaded."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints
from pydantic_settings import CliPositionalArg

from models.field import Says
from runtime.config import input_paths
from runtime.config.command_line import CommandLine, Flags
from runtime.config.loading import profile_values, settings_of
from runtime.config.settings import Settings
from runtime.config.system_settings import Source

Instruction = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class WeightsFlags(Flags):
    """Fetch the published weights that a policy names, and check them. An interrupted fetch resumes where it stopped."""

    size: Literal["small", "full", "full-wan"] = "full"
    """Size of the policy whose published parts are fetched."""
    checkpoint: Annotated[Path | None, Says(metavar="DIR")] = None
    """Folder of a checkpoint, instead of a size."""
    transformer: Source | None = None
    """Another transformer for the video model, fetched as well: one tuned on robot video."""


class InstructFlags(Flags):
    """Encode instructions before a run, so that the robot loads no text encoders: they take tens of gigabytes."""

    texts: CliPositionalArg[
        Annotated[
            tuple[Instruction, ...], Says(expects="one or more instructions of 1 to 1000 characters, each in quotes")
        ]
    ] = Field(min_length=1)
    """Instructions for the robot, each in quotes."""


def _check(_flags: InstructFlags, given: dict[str, Any]) -> None:
    settings_of(given)
    input_paths.check_settings(given)


def _check_weights(flags: WeightsFlags, _given: dict[str, Any]) -> None:
    input_paths.check_checkpoint(flags.checkpoint, "--checkpoint")
    input_paths.check_source(flags.transformer, "--transformer")


WEIGHTS = CommandLine("weights", WeightsFlags, check=_check_weights)
INSTRUCT = CommandLine(
    "instruct",
    InstructFlags,
    Settings,
    (
        "profile",
        "policy.checkpoint",
        "policy.size",
        "policy.published.text",
        "policy.published.video",
        "system2.device",
    ),
    values=profile_values,
    check=_check,
)
