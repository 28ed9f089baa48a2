"""The command line of `replay`. Read by runtime/cli.py before the command is loaded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import CliPositionalArg

from models.field import Says
from runtime.config import data_flags, input_paths
from runtime.config.command_line import CommandLine, Flags
from runtime.config.data_flags import SettingsAndData
from runtime.config.output_paths import check_folder, check_json
from runtime.errors import SettingsError

Stepping = Literal["arms", "system1", "system2"]
MODES = ("lockstep", "what_if", "on_robot", "paced")
CHANGEABLE = ("policy", "ratio", "trajectory", "safety")
CHOICE = "--ratio N, --policy..., --trajectory... or --safety..."
_OF_A_MODE = {
    "speed": "paced",
    "console": "paced",
    "only": "lockstep",
    "folder": "paced",
    "out": "what_if",
    "episode": "on_robot",
}
_WEIGHTS = ("video", "transformer", "image", "head")  # that a replay reads; it has the instructions encoded
_MOVED = ("policy.checkpoint", *(f"policy.published.{part}" for part in _WEIGHTS))


class ReplayFlags(Flags):
    """Replay a recorded session, in one of four ways.

    Settings of the robot may follow --what-if and --on-robot: --ratio 4, --trajectory.blend none, --policy.checkpoint DIR.
    With --lockstep, --policy.checkpoint DIR names the session's policy if it was moved.
    """

    session: CliPositionalArg[Annotated[Path, Says(expects="the folder of a session, or its MCAP file")]]
    """Folder of a session, or its MCAP file; with --on-robot also a demonstration or a dataset."""
    lockstep: bool = False
    """Run every step again; every byte must be the same."""
    only: Stepping | None = None
    """With --lockstep: the process whose steps are run again, from what the others sent; arms needs no policy."""
    what_if: bool = False
    """Run the same inputs under other settings, and write a new session."""
    on_robot: bool = False
    """Lead the arms along the recorded movement."""
    paced: bool = False
    """Publish the messages at the recorded times."""
    speed: float = Field(default=1.0, ge=0.01, le=100)
    """With --paced: speed relative to the recording."""
    console: bool = False
    """With --paced: show it on the console page."""
    folder: Path | None = None
    """With --paced: folder for sockets and rings; default: a new one."""
    out: Path | None = None
    """With --what-if: folder of the new session; default: beside the old one."""
    episode: int | None = Field(default=None, ge=0, le=10**6)
    """With --on-robot: number of the episode, from 1 in a session, from 0 in a dataset; default: the first that moves."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        chosen = [f"--{mode.replace('_', '-')}" for mode in MODES if getattr(self, mode)]
        if len(chosen) != 1:
            given = "give one of" if not chosen else f"{' and '.join(chosen)} exclude each other; give one of"
            raise ValueError(f"SESSION {self.session}: {given} --lockstep, --what-if, --on-robot, --paced")
        for name, mode in _OF_A_MODE.items():
            if getattr(self, name) != type(self).model_fields[name].default and not getattr(self, mode):
                value = "" if name == "console" else f" {getattr(self, name)}"
                raise ValueError(f"--{name}{value}: needs --{mode.replace('_', '-')}; give it, or leave --{name} out")
        return self


def names(given: dict[str, Any], path: str = "") -> Iterator[str]:
    """The full names of all settings that are given in a tree: trajectory.blend."""
    for name, value in given.items():
        if isinstance(value, dict):
            yield from names(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def _check(flags: ReplayFlags, given: dict[str, Any]) -> None:
    """Raises SettingsError for a setting that the chosen mode does not take, and for none where it needs one."""
    data_flags.check_used(given, flags.on_robot, "--on-robot")
    _, given = data_flags.parted(given)
    for name in names(given):
        if flags.paced or (flags.lockstep and name not in _MOVED):
            takes = "takes no settings" if flags.paced else f"takes only {', '.join(f'--{moved}' for moved in _MOVED)}"
            raise SettingsError(f"--{name}: {'--paced' if flags.paced else '--lockstep'} {takes}; leave it out")
        if flags.what_if and name.partition(".")[0] not in CHANGEABLE:
            raise SettingsError(f"--what-if: --{name} cannot be changed after the run; give {CHOICE}")
        if flags.on_robot and name.startswith("policy."):
            raise SettingsError(f"--{name}: does not apply to --on-robot, where no policy runs; leave it out")
    input_paths.check_settings(given)
    if flags.on_robot and not flags.session.exists():
        raise SettingsError(f"SESSION {flags.session}: does not exist; give a session, a demonstration or a dataset")
    if flags.out is not None:
        check_folder(flags.out, "--out")
    if "json" in given:
        check_json(Path(given["json"]))
    if flags.what_if and not given:
        raise SettingsError(f"--what-if: a setting is missing; give {CHOICE}")


REPLAY = CommandLine(
    "replay",
    ReplayFlags,
    SettingsAndData,
    ("ratio", "trajectory.blend", "policy.checkpoint", "profile", "seconds", "json"),
    check=_check,
)
