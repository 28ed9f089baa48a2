"""The command line of `data`. Read by runtime/cli.py before anything is loaded for it."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import CliPositionalArg

from models.config.part import Part
from models.data.reading import AS_IT_COMES, Reading
from models.field import Says
from runtime.config import overrides
from runtime.config.command_line import CommandLine, Flags
from runtime.config.input_paths import check_demonstrations
from runtime.config.output_paths import check_folder, check_json, check_writable
from runtime.errors import SettingsError

Action = Literal["check", "convert", "merge", "split", "delete", "relabel"]
_OF: dict[str, tuple[Action, ...]] = {
    "picture": ("check",),
    "json_file": ("check",),
    "out": ("convert", "merge", "split", "delete", "relabel"),
    "to": ("convert", "merge", "split", "delete", "relabel"),
    "episodes": ("convert", "delete", "relabel"),
    "share": ("split",),
    "seed": ("split",),
    "instruction": ("relabel",),
    "task": ("relabel",),
}
"""What takes a flag."""
_NUMBER = r"[0-9]{1,6}"  # of an episode; chosen: only stops slips such as 0-10000000000


class DataFlags(Flags):
    """Check, convert, merge, split or relabel demonstrations, or leave some out. Nothing is changed in place: a new folder is
    written, whole or not at all.

    What files do not say is given by --data.rate_hz, --data.unit, --data.colours and others (--help-all), as in training.
    """

    action: CliPositionalArg[Action]
    """What to do."""
    folders: CliPositionalArg[Annotated[tuple[Path, ...], Says(expects="one or more folders of demonstrations")]] = (
        Field(min_length=1)
    )
    """Folders of demonstrations; all but merge take one."""
    out: Annotated[Path | None, Says(metavar="DIR", expects="a new folder to write to")] = None
    """Folder to write; must not exist."""
    to: Literal["hdf5", "lerobot", "act", "rdt", "robotwin"] | None = None
    """Format to write; default: that of the first demonstration, LeRobot or HDF5."""
    episodes: Annotated[str | None, Says(metavar="N,N-N", expects="numbers of episodes, written 0,3,5-9")] = None
    """Numbers of episodes as `check` lists them; delete leaves these out, the others take only these."""
    share: float = Field(default=0.9, gt=0, lt=1)
    """split: share of the episodes in OUT/train; the rest goes into OUT/rest."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """split: seed by which they are drawn."""
    instruction: str | None = Field(default=None, min_length=1, max_length=1000)
    """relabel: instruction in place of all wordings."""
    task: str | None = Field(default=None, min_length=1, max_length=100)
    """relabel: name of the task."""
    skip_bad: bool = False
    """Leave out what cannot be learnt from; each is named."""
    picture: Annotated[Path | None, Says(metavar="FILE", expects="a PNG or JPEG file to write")] = None
    """check: write a sheet with the first image of every camera and episode, to see their colours."""
    json_file: Annotated[Path | None, Says(metavar="FILE", expects="a file")] = Field(
        default=None, validation_alias="json"
    )
    """check: write the table to this file."""

    @property
    def chosen(self) -> frozenset[int] | None:
        """The numbers of --episodes; None: it is not given. Raises ValueError for what are none."""
        return None if self.episodes is None else numbers(self.episodes)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, takers in _OF.items():
            if name in self.model_fields_set and self.action not in takers:
                flag = "json" if name == "json_file" else name.replace("_", "-")
                raise ValueError(f"--{flag}: applies to data.sh {', '.join(takers)}; leave it out")
        if self.action != "check" and self.out is None:
            raise ValueError("--out is missing; give a new folder to write to")
        if self.action != "merge" and len(self.folders) > 1:
            raise ValueError(f"{self.folders[1]}: data.sh {self.action} takes one folder; merge takes several")
        if self.action == "delete" and self.episodes is None:
            raise ValueError("--episodes is missing; give the numbers that data.sh check lists")
        if self.action == "relabel" and self.instruction is None and self.task is None:
            raise ValueError("--instruction is missing; give it, or --task, or both")
        if self.picture is not None and self.picture.suffix.lower() not in (".png", ".jpg", ".jpeg"):
            raise ValueError(f"--picture {self.picture}: must end in .png or .jpg")
        _ = self.chosen
        return self


def numbers(text: str) -> frozenset[int]:
    """The numbers that a text like 0,3,5-9 names. Raises ValueError."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        ends = (first, last if dash else first)
        if not all(re.fullmatch(_NUMBER, end) for end in ends):
            raise ValueError(f"--episodes {text:.60}: must be numbers of episodes, written 0,3,5-9")
        if int(ends[0]) > int(ends[1]):
            raise ValueError(f"--episodes {text:.60}: {part.strip():.20} must have the smaller number first")
        found |= set(range(int(ends[0]), int(ends[1]) + 1))
    return frozenset(found)


class Tree(Part):
    """How demonstrations are read."""

    data: Reading


def reading(given: dict[str, Any]) -> Reading:
    """How demonstrations are read, by the line. Raises SettingsError."""
    return overrides.over(AS_IT_COMES, given.get("data", {}), "data")


def _check(flags: DataFlags, given: dict[str, Any]) -> None:
    reading(given)
    if flags.out is not None:
        check_folder(flags.out, "--out")
        if flags.out.exists() or flags.out.is_symlink():
            raise SettingsError(f"--out {flags.out}: already exists; give another folder")
        for folder in flags.folders:
            if flags.out.resolve().is_relative_to(folder.resolve()):
                raise SettingsError(
                    f"--out {flags.out}: lies in {folder}, which would hold them twice; give another folder"
                )
    check_json(flags.json_file)
    if flags.picture is not None:
        check_writable(flags.picture, "--picture")
    for folder in flags.folders:
        check_demonstrations(folder, "FOLDERS")


DATA = CommandLine("data", DataFlags, Tree, values=lambda _: {"data": AS_IT_COMES.model_dump()}, check=_check)
