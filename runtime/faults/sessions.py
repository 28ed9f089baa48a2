"""Whether the session of a run can be read, and whether its arms' steps, made again, give the same bytes.
Called by matrix.py for every run that has ended.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import RuntimeFault
from runtime.host.processors import usable_processors
from runtime.replay import lockstep
from runtime.session import reader
from runtime.session.reader import Session


@dataclass(frozen=True)
class Examined:
    """What was found of one run's session, of all of its files as one: a recorder that is started again begins a new one."""

    unreadable: str = ""  # why, of a file that cannot be read
    restarts: int = 0  # of its recorder
    compared: int = 0  # targets of the arms that were made again
    differing: int = 0
    not_comparable: tuple[str, ...] = ()  # of targets, made of messages that were not recorded: which, when, how many
    first_difference: str = ""
    lost_chunks: int = 0
    spans_ns: tuple[
        tuple[int, int], ...
    ] = ()  # of each file: when the first and the last message came that woke its recorder

    def faults(self, cut: bool, said: Sequence[str] = ()) -> list[str]:
        """What is wrong with it, a line each.

        Args:
            cut: A recorder was killed, so that its newest messages may lack.
            said: What the supervisor said of the recorder, which does not record that itself.
        """
        if self.unreadable:
            return [f"session: {self.unreadable}"]
        found = [] if self.compared else ["session: holds no target of the arms"]
        if self.differing:
            found.append(f"session: {self.differing} of {self.compared} targets differ: {self.first_difference}")
        if cut:
            return found
        if self.lost_chunks:
            found.append(f"session: {self.lost_chunks} damaged chunks")
        if self.restarts:
            found.append(f"session: the recorder was started again: {'; '.join(said) or 'no reason was reported'}")
        return found + [f"session: {line}" for line in self.not_comparable]

    def unrecorded_ms(self, at_ns: int) -> float:
        """How much before a moment the last message of the file is that was written then; 0 where it went on."""
        ends_ns = [last for first, last in self.spans_ns if first < at_ns]
        return max(0.0, (at_ns - max(ends_ns, default=at_ns)) / 1e6)


def examine(folder: Path) -> Examined:
    """Read every file of a session's folder as one session, and make its arms' steps again."""
    try:
        session = reader.joined(folder)
        report = lockstep.replay(session, only="arms", workers=usable_processors())
    except RuntimeFault as error:
        return Examined(unreadable=str(error))
    counts = report.counts.values()
    return Examined(
        restarts=len(session.further),
        compared=sum(count.compared for count in counts),
        differing=sum(count.differing for count in counts),
        not_comparable=tuple(report.gap_lines()),
        first_difference=next((count.first_difference for count in counts if count.first_difference), ""),
        lost_chunks=session.damage.lost_chunks,
        spans_ns=tuple(spans_ns(session)),
    )


def spans_ns(session: Session) -> Iterator[tuple[int, int]]:
    """Of each file the first and the last verdict on the cameras, CLOCK_MONOTONIC ns.

    They come 30 times a second and over a socket: what lies in rings a recorder reads that was started later, too.
    """
    further = [other.messages for other in session.further]
    own = session.messages[: len(session.messages) - sum(map(len, further))]
    for rows in (own, *further):
        stamps_ns = [row.decode().stamp_ns for row in rows if row.topic == "camera_health"]
        if stamps_ns:
            yield min(stamps_ns), max(stamps_ns)
