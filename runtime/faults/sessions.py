"""Whether the session of a run can be read, and whether its arms' steps, made again, give the same bytes.
Called by matrix.py for every run that has ended.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from runtime.errors import RuntimeFault
from runtime.host.processors import usable_processors
from runtime.messaging import messages
from runtime.replay import lockstep
from runtime.session import reader


@dataclass(frozen=True)
class Examined:
    """What was found of one run's session, over all of its files: a recorder that is started again begins a new one."""

    files: int = 0
    unreadable: str = ""  # why, of the first file that cannot be read
    compared: int = 0  # targets of the arms that were made again
    differing: int = 0
    not_comparable: int = 0  # made of messages that were not recorded
    first_difference: str = ""
    lost_chunks: int = 0
    spans_ns: tuple[tuple[int, int], ...] = ()  # of each file: its first and its last target

    def faults(self, cut: bool) -> list[str]:
        """What is wrong with it, a line each. `cut`: a recorder was killed, so that its newest messages may lack."""
        if self.unreadable:
            return [f"session: {self.unreadable}"]
        found = [] if self.compared else ["session: holds no target of the arms"]
        if self.differing:
            found.append(f"session: {self.differing} of {self.compared} targets differ: {self.first_difference}")
        if self.lost_chunks and not cut:
            found.append(f"session: {self.lost_chunks} damaged chunks")
        if self.not_comparable and not cut:
            found.append(f"session: the inputs of {self.not_comparable} targets lack")
        return found

    def unrecorded_ms(self, at_ns: int) -> float:
        """How much before a moment the last message of the file is that was written then; 0 where it went on."""
        ends_ns = [last for first, last in self.spans_ns if first < at_ns]
        return max(0.0, (at_ns - max(ends_ns, default=at_ns)) / 1e6)


def examine(folder: Path) -> Examined:
    """Read every file of a session's folder, and make its arms' steps again."""
    files = sorted(folder.glob("session*.mcap"), key=lambda path: path.stat().st_mtime_ns)
    found = Examined(unreadable="" if files else f"{folder}: holds no session file")
    for path in files:
        try:
            found = _with(found, path)
        except RuntimeFault as error:
            found = replace(found, unreadable=found.unreadable or str(error))
    return found


def _with(found: Examined, path: Path) -> Examined:
    session = reader.read(path)
    targets = [m.stamp_ns for _, m, _ in reader.decode_all(session) if isinstance(m, messages.ArmTarget)]
    report = lockstep.replay(session, only="arms", workers=usable_processors())
    counts = report.counts.values()
    differences = [count.first_difference for count in counts if count.first_difference]
    return Examined(
        files=found.files + 1,
        unreadable=found.unreadable,
        compared=found.compared + sum(count.compared for count in counts),
        differing=found.differing + sum(count.differing for count in counts),
        not_comparable=found.not_comparable + sum(count.not_comparable for count in counts),
        first_difference=found.first_difference or next(iter(differences), ""),
        lost_chunks=found.lost_chunks + session.damage.lost_chunks,
        spans_ns=(*found.spans_ns, (min(targets), max(targets))) if targets else found.spans_ns,
    )
