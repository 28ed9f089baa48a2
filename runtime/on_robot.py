"""`replay.sh SESSION --on-robot`: the arms once more along what a session, or a demonstration (HDF5, LeRobot), recorded.

No policy runs: what takes System 1's place leads the arms from where they stand to the movement's beginning, along it and to a
stand at its end, through the same safety layer as ever, and cameras and recorder run as in any session.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data import demonstrations, hdf5
from models.errors import ModelError
from runtime import config, follow_step, wire
from runtime.bus import Bus
from runtime.config import Policy, Settings
from runtime.errors import RuntimeFault, SettingsError
from runtime.robot import Robot, checked
from runtime.session import reader
from runtime.session.episodes import Log
from runtime.session.format import FILE_NAME
from runtime.status import StatusLine

_SHORTEST_STEPS = 2


@dataclass(frozen=True)
class Recorded:
    """A movement (T, 14), rad, grippers m, 30 steps a second, and what is known of where it was made."""

    q: NDArray[np.float64]
    name: str
    task: str
    seed: int  # of a simulated scene, -1: none
    instruction: str
    settings: Settings | None  # of the session
    beside: Path  # the folder that it lies in


class FollowingStatus(StatusLine):
    """The line of a replay: it hears when the movement is at its end."""

    def __init__(self, bus: Bus, settings: Settings) -> None:
        super().__init__(bus, settings)
        self._skips = bus.subscriber("skip", depth=64)
        self.over = False
        self._name = settings.follow

    def read(self) -> None:
        """Take what came."""
        super().read()
        skips = (received.message for received in self._skips.take())
        self.over |= any(isinstance(skip, wire.Skip) and skip.reason == follow_step.END for skip in skips)

    def systems(self) -> str:
        """See StatusLine."""
        return f"follows {self._name}"


class Following(Robot):
    """One run along a recorded movement."""

    status: FollowingStatus

    def __init__(self, settings: Settings, recorded: Recorded) -> None:
        super().__init__(settings)
        follow_step.save(recorded.q, self.session)

    def make_status(self, bus: Bus) -> StatusLine:
        """See Robot."""
        return FollowingStatus(bus, self.settings)

    def is_over(self) -> bool:
        """Also at the movement's end."""
        return self.status.over or super().is_over()


def main(source: Path, number: int | None, flags: list[str]) -> int:
    """Read the movement, check what can be checked at once, run."""
    movement = recorded(source, number)
    return Following(checked(_settings(movement, flags)), movement).run()


def recorded(source: Path, number: int | None) -> Recorded:
    """What is to be followed: one episode of a session, or one demonstration. Raises RuntimeFault or SettingsError."""
    is_file = source.suffix in (".hdf5", ".h5")
    is_demonstrations = is_file or (source.is_dir() and not (source / FILE_NAME).exists())
    found = (_demonstration if is_demonstrations else _episode)(source, number)
    if len(found.q) < _SHORTEST_STEPS:
        raise RuntimeFault(f"{source}: its movement has {len(found.q)} steps; there is nothing to follow")
    return found


def _settings(recorded: Recorded, flags: list[str]) -> Settings:
    """Those of the session where no profile is named, else the profile's; and what flags change."""
    named = any(flag.partition("=")[0] == "--profile" for flag in flags)
    if recorded.settings is None or named:
        settings = config.load(flags, "replay.sh")
    else:
        arms = recorded.settings.arms.model_copy(update={"masters": "unplugged", "unfit": ""})
        own = {"arms": arms, "sessions": recorded.beside, "json_file": None}
        settings = config.changed(recorded.settings.model_copy(update=own), flags, "replay.sh")
    if settings.arms.masters == "shared":
        raise SettingsError("--arms.masters shared: masters would lead the arms too; unplug them")
    given = {flag.partition("=")[0] for flag in flags}
    scene = {"--task": ("task", recorded.task), "--seed": ("seed", max(recorded.seed, 0))}
    changes = {
        name: value for flag, (name, value) in scene.items() if flag not in given and (name, value) != ("task", "")
    }
    told = {"instruction": settings.instruction or recorded.instruction or recorded.name}
    return settings.model_copy(update=changes | told | {"follow": recorded.name, "policy": Policy(), "seconds": None})


def _episode(source: Path, number: int | None) -> Recorded:
    """An episode of a session: the first one with a movement, or the one with this number."""
    session = reader.read(source)
    log = Log(session)
    numbers = [about.number for about in log.episodes]
    if number is not None and number not in numbers:
        raise SettingsError(f"--episode {number}: {source} holds {', '.join(map(str, numbers)) or 'none'}")
    for about in log.episodes:
        if number not in (None, about.number):
            continue
        try:
            path = log.path(about)
        except ModelError as error:
            raise RuntimeFault(str(error)) from None
        if path is not None:
            told = session.metadata.get("settings")
            settings = config.from_json(told) if told else None
            (q, instruction), folder = path, session.path.resolve().parent
            return Recorded(q, folder.name, about.task, about.seed, instruction, settings, folder.parent)
    raise RuntimeFault(f"{source}: the arms never ran, and no demonstration was kept; there is nothing to follow")


def _demonstration(source: Path, number: int | None) -> Recorded:
    """A file, or one of a folder of files or a LeRobot dataset, in order: the first one, or that with this number, from 0."""
    try:
        some = demonstrations.find(source) if source.is_dir() else None
        if some is not None and not 0 <= (number or 0) < len(some):
            raise SettingsError(f"--episode {number}: {source} holds 0 to {len(some) - 1}")
        episode = hdf5.read(source) if some is None else some[number or 0].read()
    except ModelError as error:
        raise RuntimeFault(f"{error}" if source.suffix else f"{error}; a session holds {FILE_NAME}") from None
    name = source.stem if number is None else f"{source.stem} {number}"
    q, text = episode.master.astype(np.float64), episode.instructions[0]
    return Recorded(q, name, episode.task, episode.seed, text, None, source.parent)
