"""The command line of `replay`. Read by runtime/cli.py before the command is loaded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from pydantic_settings import CliPositionalArg

from runtime.config.command_line import CommandLine, Flags
from runtime.config.field import Says
from runtime.config.settings import Settings
from runtime.errors import SettingsError

MODES = ("lockstep", "what_if", "on_robot", "paced")
CHANGEABLE = ("policy", "ratio", "trajectory", "safety")
CHOICE = "--ratio N, --policy..., --trajectory... or --safety..."
_OF_A_MODE = {"speed": "paced", "console": "paced", "folder": "paced", "out": "what_if", "episode": "on_robot"}
_MOVED = ("policy.checkpoint", "policy.published.video", "policy.published.head")


class ReplayFlags(Flags):
    """Play a recorded session again, in one of four ways.

    Settings of the robot may follow --what-if and --on-robot: --ratio 4, --trajectory.blend none, --policy.checkpoint DIR.
    With --lockstep, --policy.checkpoint DIR names where the session's policy lies now.
    """

    session: CliPositionalArg[Annotated[Path, Says(expects="a session's folder or its MCAP file")]]
    """A session's folder or its MCAP file; with --on-robot also a demonstration or a dataset."""
    lockstep: bool = False
    """Run the real steps again; every byte must be the same."""
    what_if: bool = False
    """Run the same inputs under other settings, and write a new session."""
    on_robot: bool = False
    """Lead the arms along the recorded movement."""
    paced: bool = False
    """Publish the messages at the recorded times."""
    speed: float = Field(default=1.0, ge=0.01, le=100)
    """With --paced: how many times as fast as recorded."""
    console: bool = False
    """With --paced: show it on the console's page."""
    folder: Path | None = None
    """With --paced: folder of sockets and rings; without it a new one."""
    out: Path | None = None
    """With --what-if: folder of the new session; without it beside the old one."""
    episode: int | None = None
    """With --on-robot: which episode. A session's count from 1, a dataset's from 0; without it the first that moves."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        chosen = [f"--{mode.replace('_', '-')}" for mode in MODES if getattr(self, mode)]
        if len(chosen) != 1:
            given = "give one of" if not chosen else f"{' and '.join(chosen)} were given; give one of"
            raise ValueError(f"SESSION {self.session}: {given} --lockstep, --what-if, --on-robot, --paced")
        for name, mode in _OF_A_MODE.items():
            if getattr(self, name) != type(self).model_fields[name].default and not getattr(self, mode):
                value = "" if name == "console" else f" {getattr(self, name)}"
                raise ValueError(f"--{name}{value}: is for --{mode.replace('_', '-')}; leave it out, or give that")
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
    for name in names(given):
        if flags.paced or (flags.lockstep and name not in _MOVED):
            takes = "takes no settings" if flags.paced else f"takes only {', '.join(f'--{moved}' for moved in _MOVED)}"
            raise SettingsError(f"--{name}: {'--paced' if flags.paced else '--lockstep'} {takes}; leave it out")
        if flags.what_if and name.partition(".")[0] not in CHANGEABLE:
            raise SettingsError(f"--what-if: --{name} cannot be changed afterwards; give {CHOICE}")
        if flags.on_robot and name.startswith("policy."):
            raise SettingsError(f"--{name}: no policy runs under --on-robot; leave it out")
    if flags.what_if and not given:
        raise SettingsError(f"--what-if: name what is to be different: {CHOICE}")


REPLAY = CommandLine(
    "replay",
    ReplayFlags,
    Settings,
    ("ratio", "trajectory.blend", "policy.checkpoint", "profile", "seconds", "json"),
    check=_check,
)
