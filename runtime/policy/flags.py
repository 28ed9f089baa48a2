"""The command lines of `weights`, `push` and `instruct`. Read by runtime/cli.py before these commands are loaded."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints, field_validator
from pydantic_settings import CliPositionalArg

from models import hub_policy
from models.families import SizeName
from models.field import Says
from models.identity import checkpoint_folder
from runtime.config import input_paths
from runtime.config.command_line import CommandLine, Flags
from runtime.config.loading import profile_values, settings_of
from runtime.config.settings import Settings
from runtime.config.system_settings import Source
from runtime.errors import SettingsError

Instruction = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class WeightsFlags(Flags):
    """Fetch the published weights that a policy names, and check them. An interrupted fetch resumes where it stopped."""

    size: SizeName = "full"
    """Size of the policy whose published parts are fetched."""
    checkpoint: Annotated[Path | None, Says(metavar="DIR|ORG/NAME@COMMIT")] = None
    """Folder of a checkpoint, instead of a size; or a policy of the hub, which is fetched itself too."""
    transformer: Source | None = None
    """Another transformer for the video model, fetched as well: one tuned on robot video."""


class PushFlags(Flags):
    """Put a policy on the hub, with a card that says what it needs of a robot."""

    checkpoint: CliPositionalArg[Annotated[Path, Says(expects="a folder")]]
    """Folder of a checkpoint, or the --out of train.sh."""
    repository: CliPositionalArg[Annotated[str, Says(expects="ORG/NAME")]]
    """Where it goes; made where there is none."""
    private: bool = False
    """A repository that is made is private."""

    @field_validator("checkpoint")
    @classmethod
    def _of_a_training(cls, given: Path) -> Path:
        return checkpoint_folder(given)


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
    if flags.checkpoint is None or hub_policy.parts(str(flags.checkpoint)) is None:
        input_paths.check_checkpoint(flags.checkpoint, "--checkpoint")
    input_paths.check_source(flags.transformer, "--transformer")


def _check_push(flags: PushFlags, _given: dict[str, Any]) -> None:
    input_paths.check_checkpoint(flags.checkpoint, "CHECKPOINT")
    if not hub_policy.is_name(flags.repository):
        raise SettingsError(
            f"REPOSITORY {flags.repository:.120}: must be ORG/NAME; letters, digits, dots, dashes and underscores"
        )


PUSH = CommandLine("push", PushFlags, check=_check_push)
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
