"""Turns recorded sessions into demonstrations: `export.sh SESSION... --to hdf5|lerobot --out DIR`.

Of a policy's run an episode is the longest stretch in which the arms ran, unless an operator called it a failure; of a
recording (record.sh) a demonstration that was kept. 30 steps a second: what each camera had seen by then, the joints measured
then, and the target that the arms were sent, or led to by their masters, for the next step. Pictures are the logged JPEGs.
"""

import argparse
import bisect
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from models.config import CAMERAS
from models.data import hdf5, lerobot_writer
from models.data.episode import RATE_HZ, Episode, check
from models.errors import ModelError
from runtime import command_line, wire
from runtime.clock import NS_PER_S
from runtime.errors import RuntimeFault, SettingsError
from runtime.session import reader
from runtime.terminal import say

Row = TypeVar("Row")
_LONGEST_GAP_NS = (
    NS_PER_S // 5
)  # without a tick, where a run's stretch ends; a picture or master that lacks so long makes an episode unfit


def main(arguments: list[str]) -> int:
    """The command."""
    options = _parse(arguments)
    if options.out.exists() and not options.out.is_dir():
        raise SettingsError(f"--out {options.out}: is a file; name a folder")
    try:
        if options.to == "lerobot":
            count = lerobot_writer.write(options.out, _all(options.sessions, options.failures))
        else:
            count = _write_hdf5(options.out, options.sessions, options.failures)
    except ModelError as error:
        raise RuntimeFault(str(error)) from None
    say(f"{options.out}: {count} episodes")
    return 0


def _write_hdf5(out: Path, sessions: Sequence[Path], failures: bool) -> int:
    count = 0
    for path in sessions:
        session = reader.read(path)
        for number, episode in enumerate(episodes(session, failures)):
            file = out / episode.task / f"{session.path.resolve().parent.name}_{number}.hdf5"
            if file.exists():
                raise ModelError(f"{file}: is there already; name another --out, or take it away")
            file.parent.mkdir(parents=True, exist_ok=True)
            hdf5.write(file, episode)
            count += 1
    return count


def _all(sessions: Sequence[Path], failures: bool) -> Iterator[Episode]:
    for path in sessions:
        yield from episodes(reader.read(path), failures)


def episodes(session: reader.Session, failures: bool = False) -> list[Episode]:
    """A session's episodes, in order, with `failures` those that were called so too; unfit ones are left out, and said.

    Raises ModelError when none is left.
    """
    log = _Log(session)
    some: list[Episode] = []
    unfit: list[str] = []
    for about in log.episodes:
        if about.number in log.failures and not failures:
            unfit.append(
                f"{session.path} episode {about.number}: was called a failure; --failures takes it all the same"
            )
            continue
        try:
            found = log.episode(about)
        except ModelError as error:
            unfit.append(str(error))
            continue
        some += [found] if found is not None else []
    if not some:
        nothing = f"{session.path}: the arms never ran, and no demonstration was kept; there is nothing to export"
        raise ModelError(unfit[0] if unfit else nothing)
    for text in unfit:
        say(f"video2act: left out: {text}")
    return some


class _Log:
    """A session's messages by what an episode needs of them."""

    def __init__(self, session: reader.Session) -> None:
        self._session = session
        self.episodes: list[wire.Episode] = []
        self._texts: list[wire.Instruction] = []
        self._joints: list[wire.JointState] = []
        self._targets: list[wire.ArmTarget] = []
        self._masters: list[wire.MasterState] = []
        self._kept: dict[int, wire.Demonstration] = {}
        self.failures: set[int] = set()
        self._frames: dict[str, list[wire.Frame]] = {camera: [] for camera in CAMERAS}
        for _, message, _ in reader.decode_all(session):
            match message:
                case wire.Episode() if not self.episodes or self.episodes[-1].number != message.number:
                    self.episodes.append(message)
                case wire.Instruction():
                    self._texts.append(message)
                case wire.JointState():
                    self._joints.append(message)
                case wire.ArmTarget():
                    self._targets.append(message)
                case wire.MasterState():
                    self._masters.append(message)
                case wire.Outcome():  # the last word counts
                    (self.failures.add if message.result == "failure" else self.failures.discard)(message.number)
                case wire.Demonstration() if message.state == "kept":
                    self._kept[message.number] = message
                case wire.Frame() if message.camera in self._frames:
                    self._frames[message.camera].append(message)
                case _:
                    pass

    def episode(self, about: wire.Episode) -> Episode | None:
        """One episode; None when the arms did not run in it, and it is no demonstration that was kept."""
        running = [t for t in self._targets if t.episode == about.number and t.mode == "RUNNING" and t.sent]
        kept = self._kept.get(about.number)
        if kept is not None:
            begin_ns, end_ns = kept.began_ns, kept.ended_ns
            rows = [(row.stamp_ns, row.q) for row in self._masters if begin_ns <= row.stamp_ns <= end_ns]
            if not rows or max(np.diff([begin_ns, *(stamp for stamp, _ in rows), end_ns])) > _LONGEST_GAP_NS:
                raise ModelError(
                    f"{self._session.path} demonstration {about.number}: a master was not heard all the time"
                )
        elif running:
            begin_ns, end_ns = _longest([target.deadline_ns for target in running])
            rows = [(row.deadline_ns, row.q) for row in running]
        else:
            return None
        times = [int(time) for time in np.arange(begin_ns, end_ns, NS_PER_S / RATE_HZ)]
        steps = [self._joints[_before(self._joints, time, lambda row: row.stamp_ns)] for time in times]
        ahead = [time + NS_PER_S // RATE_HZ for time in times]
        told = [rows[_before(rows, time, lambda row: row[0])][1] for time in ahead]
        text = [row.text for row in self._texts if row.stamp_ns <= end_ns]
        episode = Episode(
            q=np.array([row.q for row in steps], np.float32),
            dq=np.array([row.dq for row in steps], np.float32),
            effort=np.array([row.effort for row in steps], np.float32),
            master=np.array(told, np.float32),
            jpegs={camera: self._jpegs(camera, times) for camera in CAMERAS},
            instructions=(text[-1] if text else "",),
            task=about.task,
            seed=about.seed,
        )
        return check(episode, f"{self._session.path} episode {about.number}")

    def _jpegs(self, camera: str, times: Sequence[int]) -> list[bytes]:
        """What the camera had seen last at each time."""
        frames = self._frames[camera]
        found: list[bytes] = []
        for time in times:
            place = _before(frames, time, lambda row: row.capture_ns)
            if not frames or time - frames[place].capture_ns > _LONGEST_GAP_NS:
                raise ModelError(f"{self._session.path}: camera {camera} has no picture at {time / NS_PER_S:.2f} s")
            jpeg = self._session.jpeg(camera, frames[place].seq)
            if jpeg is None:
                raise ModelError(f"{self._session.path}: picture {frames[place].seq} of {camera} was not logged")
            found.append(jpeg)
        return found


def _before(rows: Sequence[Row], time: int, stamp: Callable[[Row], int]) -> int:
    """The last row at or before a time, the first one when there is none."""
    return max(0, bisect.bisect_right(rows, time, key=stamp) - 1)


def _longest(times: Sequence[int]) -> tuple[int, int]:
    """First and last time of the longest stretch without a gap."""
    cuts = [place for place, (a, b) in enumerate(itertools.pairwise(times), start=1) if b - a > _LONGEST_GAP_NS]
    stretches = [times[a:b] for a, b in itertools.pairwise([0, *cuts, len(times)])]
    longest = max(stretches, key=lambda stretch: stretch[-1] - stretch[0])
    return longest[0], longest[-1]


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = command_line.parser("export.sh", __doc__)
    parser.add_argument("sessions", nargs="+", type=Path, metavar="SESSION", help="folders, or their MCAP files")
    parser.add_argument("--to", choices=("hdf5", "lerobot"), required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--failures", action="store_true", help="also episodes that an operator called a failure")
    return command_line.parse(parser, arguments)
