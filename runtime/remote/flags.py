"""The command lines of `system2` and `keys`. Read by runtime/cli.py before these commands are loaded."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic_settings import CliPositionalArg

from models.field import Says
from runtime.config import input_paths, overrides
from runtime.config.command_line import CommandLine, Flags
from runtime.config.output_paths import check_folder
from runtime.config.section import Section
from runtime.config.system_settings import ADDRESS, Policy, System2


class System2Flags(Flags):
    """Run System 2 alone, on a GPU box, for a robot that waits for it.

    The robot's settings apply, except --policy.* and --system2.* given here: the place of the checkpoint on this machine, and
    the device.
    """

    robot: Annotated[
        str, Says(metavar="tcp://HOST:PORT", expects="tcp://HOST:PORT, as in the robot's --system2.remote")
    ] = Field(pattern=ADDRESS)
    """Address at which the robot waits, as in its --system2.remote."""
    keys: Annotated[Path, Says(metavar="DIR", expects="the folder of the keys")]
    """Copy of the folder that keys.sh wrote."""


class KeysFlags(Flags):
    """Create the two key pairs by which the robot and the GPU box recognise each other.

    Copy the folder to both machines, and let nobody else read it: whoever has it can pose as either machine.
    """

    folder: CliPositionalArg[Annotated[Path, Says(expects="a new folder")]]
    """New folder for the keys."""


class BoxSettings(Section):
    """The settings that may differ on the GPU box from the robot's."""

    policy: Policy = Policy()
    system2: System2 = System2()


def _check(flags: System2Flags, given: dict[str, Any]) -> None:
    overrides.over(BoxSettings(), given, "")
    input_paths.check_keys(flags.keys, "--keys")
    input_paths.check_settings(given)


SYSTEM2 = CommandLine(
    "system2",
    System2Flags,
    BoxSettings,
    (
        "policy.checkpoint",
        "system2.device",
        "system2.dtype",
        "system2.storage",
        "system2.modulation",
        "system2.compile",
        "system2.threads",
    ),
    check=_check,
)


def _check_keys(flags: KeysFlags, _given: dict[str, Any]) -> None:
    check_folder(flags.folder, "FOLDER")


KEYS = CommandLine("keys", KeysFlags, check=_check_keys)
