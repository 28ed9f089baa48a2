"""`replay.sh SESSION --on-robot`: the arms once more along what a session, or a demonstration (HDF5, LeRobot), recorded.
Called by command.py.

No policy runs: what takes System 1's place leads the arms from where they stand to the movement's beginning, along it and to a
stand at its end, through the same safety layer; cameras and recorder run as in any session.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import WITHOUT_GRIPPERS, joint_name
from models.data import demonstrations, hdf5
from models.data.episode import DEMONSTRATION_HZ
from models.data.reading import AS_IT_COMES, Reading
from models.errors import ModelError
from runtime.arms.ranges import outside
from runtime.config import data_flags
from runtime.config.loading import changed, settings_from_json, settings_of
from runtime.config.profile import merge
from runtime.config.settings import Settings
from runtime.config.system_settings import Policy, System1, System2
from runtime.errors import RuntimeFault, SessionError, SettingsError
from runtime.messaging import messages
from runtime.messaging.bus import Bus
from runtime.process.fork_server import ForkServer
from runtime.process.role import Role
from runtime.replay import tracker_step
from runtime.session import reader
from runtime.session.episodes import Log
from runtime.session.format import FILE_NAME
from runtime.supervisor.flags import check_task
from runtime.supervisor.robot import Robot, examined
from runtime.supervisor.status_line import StatusLine

_SHORTEST_STEPS = 2  # with one there is nowhere to go
_LONGEST_TEXT = 1000  # letters, as an instruction may have (messages.Instruction)
_SEEDS = range(2**31)  # that the settings take


@dataclass(frozen=True)
class Recorded:
    """A movement (T, 14), rad, grippers m, 30 steps a second, and what is known of where it was made."""

    q: NDArray[np.float64]
    name: str
    task: str
    seed: int  # of a simulated scene, -1: none
    instruction: str
    settings: Callable[[], Settings] | None  # of the session
    beside: Path  # the folder that it lies in


class TrackingStatus(StatusLine):
    """The line of a replay: it hears when the movement is at its end."""

    def __init__(self, bus: Bus, settings: Settings, name: str) -> None:
        super().__init__(bus, settings)
        self._skips = bus.subscriber("skip", depth=64)
        self.over = ""
        self._name = name

    def read(self) -> None:
        """Take what came; tell it once when the movement is at its end, or lost."""
        super().read()
        for received in self._skips.take():
            skip = received.message
            if (
                isinstance(skip, messages.Skip)
                and skip.reason in (tracker_step.END, tracker_step.LOST)
                and not self.over
            ):
                self.over = skip.reason
                self.event(self.over)

    def systems(self) -> str:
        """The recording that leads the arms."""
        return f"follows {self._name}"


class TrackingRobot(Robot):
    """A run along a recorded movement: the robot command without a policy."""

    status: TrackingStatus

    def __init__(self, settings: Settings, role: Role, server: ForkServer, movement: Recorded) -> None:
        self._name = movement.name
        super().__init__(settings, role, server)
        tracker_step.save(movement.q, self.session)

    def make_status(self, bus: Bus) -> StatusLine:
        return TrackingStatus(bus, self.settings, self._name)

    def is_over(self) -> bool:
        """Whether the run ends by itself now: also when the movement is at its end, or lost."""
        return bool(self.status.over) or super().is_over()


def main(source: Path, number: int | None, given: dict[str, Any]) -> int:
    """Run the robot along the movement of a session or demonstration, after what can be checked at once."""
    reading, given = data_flags.parted(given)
    movement = recorded(source, number, reading)
    settings = settings_for(movement, given)
    check(movement.q, settings, source)
    check_task(settings)
    with closing(ForkServer()) as server:
        return TrackingRobot(settings, examined(settings, Role(tracks=movement.name)), server, movement).run()


def recorded(source: Path, number: int | None, reading: Reading = AS_IT_COMES) -> Recorded:
    """The movement to follow: one episode of a session, or one demonstration.

    Args:
        source: A session, an HDF5 file, or a folder of demonstrations.
        number: Of the episode or demonstration; None: the first one with a movement.
        reading: What flags say of demonstrations.

    Raises:
        RuntimeFault: There is nothing to follow.
        SettingsError: There is none of this number.
    """
    is_file = source.suffix in (".hdf5", ".h5")
    is_demonstrations = is_file or (source.is_dir() and not (source / FILE_NAME).exists())
    if not is_demonstrations and reading != AS_IT_COMES:
        raise SettingsError(f"{' '.join(data_flags.words(reading))}: does not apply to a session; leave it out")
    found = _demonstration(source, number, reading) if is_demonstrations else _episode(source, number)
    if len(found.q) < _SHORTEST_STEPS:
        raise RuntimeFault(
            f"{source}: its movement must have at least {_SHORTEST_STEPS} steps, got {len(found.q)}; give another"
        )
    return found


def check(q: NDArray[np.float64], settings: Settings, source: Path) -> None:
    """Say before anything moves that a movement cannot be this robot's.

    Args:
        q: (T, 14) rad, grippers m, 30 steps a second.
        settings: Of the robot.
        source: For the error line.

    Raises:
        RuntimeFault: A step outside a joint's range by more than `outside_rad`, or a jump of more than `jump_rad`.
    """
    safety, arms = settings.safety, q[:, WITHOUT_GRIPPERS]
    if wrong := outside(q, safety):
        raise RuntimeFault(f"{source}: {wrong}; give another")
    jumps = np.abs(np.diff(arms, axis=0))
    step, joint = np.unravel_index(int(jumps.argmax()), jumps.shape)
    if jumps[step, joint] > safety.jump_rad:
        raise RuntimeFault(
            f"{source}: {joint_name(WITHOUT_GRIPPERS[joint])} jumps by {jumps[step, joint]:.2f} rad after "
            f"{step / DEMONSTRATION_HZ:.1f} s (limit {safety.jump_rad} rad); give another"
        )


def settings_for(movement: Recorded, given: dict[str, Any]) -> Settings:
    """The settings of the session where no profile is named, else the profile's, with what flags change. Raises
    SettingsError.
    """
    reported: dict[str, Any] = {"task": movement.task, "instruction": _text(movement)}
    if movement.seed in _SEEDS:
        reported["seed"] = movement.seed
    given = merge({name: value for name, value in reported.items() if value != ""}, given)
    if movement.settings is None or "profile" in given:
        settings = settings_of(given)
    else:
        own = movement.settings()
        arms = own.arms.model_copy(update={"leaders": "unplugged"})
        reset = {"arms": arms, "sessions": movement.beside, "json_file": None, "seconds": None}
        settings = changed(own.model_copy(update=reset), given)
    system1 = System1(period_s=settings.system1.first_period_s, nice=settings.system1.nice)
    return settings.model_copy(update={"policy": Policy(), "system1": system1, "system2": System2()})


def _text(movement: Recorded) -> str:
    return (movement.instruction.strip() or movement.name)[:_LONGEST_TEXT]


def _episode(source: Path, number: int | None) -> Recorded:
    """The movement of a session's episode: of the first that has one, or of the one with this number."""
    session = reader.opened(source)
    log = Log(session)
    numbers = [about.number for about in log.episodes]
    if number is not None and number not in numbers:
        raise SettingsError(
            f"--episode {number}: must be an episode of {source} ({', '.join(map(str, numbers)) or 'none'})"
        )
    unfit = ""
    for about in log.episodes:
        if number not in (None, about.number):
            continue
        try:
            path = log.path(about)
        except ModelError as error:
            unfit = unfit or str(error)
            continue
        if path is not None:
            reported, (q, instruction), folder = _settings_of(session), path, session.path.resolve().parent
            return Recorded(q, folder.name, about.task, about.seed, instruction, reported, folder.parent)
    nothing = f"{source}: the arms never ran, and no demonstration was kept; give another"
    raise RuntimeFault(unfit or nothing)


def _settings_of(session: reader.Session) -> Callable[[], Settings] | None:
    text = session.metadata.get("settings")
    if text is None:
        return None

    def read() -> Settings:
        try:
            return settings_from_json(text)
        except SettingsError as error:
            raise SessionError(
                f"{session.path}: its settings are of another version ({error}); give --profile"
            ) from None

    return read


def _demonstration(source: Path, number: int | None, reading: Reading) -> Recorded:
    """The movement of a demonstration file, or of one in a folder or LeRobot dataset: the first, or that number, from 0."""
    if number is not None and not source.is_dir():
        raise SettingsError(f"--episode {number}: {source} is one demonstration; leave it out")
    try:
        some = demonstrations.find(source, reading) if source.is_dir() else None
        if some is not None and not 0 <= (number or 0) < len(some):
            raise SettingsError(f"--episode {number}: must be 0 to {len(some) - 1} in {source}")
        episode = hdf5.read(source, reading) if some is None else some[number or 0].read()
    except ModelError as error:
        raise RuntimeFault(f"{error}" if source.suffix else f"{error}; give a folder with {FILE_NAME}") from None
    name = source.stem if number is None else f"{source.stem} {number}"
    text = next((text for text in episode.instructions if text.strip()), "")
    return Recorded(episode.leader.astype(np.float64), name, episode.task, episode.seed, text, None, source.parent)
