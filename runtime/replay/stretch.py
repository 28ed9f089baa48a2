"""A stretch of one process's outputs, made again one after the other: from its start, or from a snapshot, to the next one.
Cut, run on all cores and joined by lockstep.py.

What an output consumed is in the session, so a stretch needs nothing of another one but the state that it begins with.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from runtime.messaging import messages
from runtime.process import snapshot
from runtime.replay.comparison import Report, compare
from runtime.replay.gaps import Gap
from runtime.replay.index import Index, Key, Missing

Made = tuple[tuple[Key, messages.Message | None], ...]
"""What a step made, by what it is called in the session; None where it made nothing."""


class Steps(Protocol):
    """The steps of one process in one life of it."""

    classes: tuple[type, ...]
    """Of which its snapshots are made."""

    def fresh(self, first: Any) -> Any:
        """The state before the process's first output. Raises Missing."""
        ...

    def next_seq(self, state: Any, recorded: Any) -> int:
        """The number that the next output of this kind gets."""
        ...

    def make(self, state: Any, recorded: Any) -> Made:
        """Make an output again; changes the state. Raises Missing where the session lacks what it consumed."""
        ...


@dataclass(frozen=True)
class Stretch:
    """Outputs `begin` to `end` of a process's life."""

    process: str
    topics: tuple[str, ...]
    epoch: int
    begin: int
    end: int
    state: bytes = b""
    """Packed, with which it begins; empty: the process started here, or it is not known."""


@dataclass(frozen=True)
class Done:
    """A stretch that was made again."""

    stretch: Stretch
    report: Report
    state: bytes
    """Packed, at its end; empty: lost, since something that was consumed is missing."""


def cut(index: Index, process: str, topics: tuple[str, ...], classes: tuple[type, ...]) -> Iterator[Stretch]:
    """All stretches of a process, life after life, in order."""
    for epoch, outputs in index.of(*topics).items():
        states = _snapshots(index, process, epoch)
        begin, state = 0, b""
        for place, output in enumerate(outputs[:-1]):
            after = states.get(_snapshot_seq(output), b"")
            if after and _readable(after, classes):
                yield Stretch(process, topics, epoch, begin, place + 1, state)
                begin, state = place + 1, after
        yield Stretch(process, topics, epoch, begin, len(outputs), state)


def run(index: Index, steps: Steps, stretch: Stretch) -> Done:
    """Make the outputs of a stretch again and compare them with the recorded ones."""
    outputs: Sequence[messages.Message] = index.of(*stretch.topics)[stretch.epoch]
    states, report = _snapshots(index, stretch.process, stretch.epoch), Report()
    state = snapshot.unpack(stretch.state, steps.classes) if stretch.state else None
    gap: Gap | None = None
    for place in range(stretch.begin, stretch.end):
        recorded = outputs[place]
        try:
            if place == 0 and recorded.seq == 0:
                state = steps.fresh(recorded)
            if state is None or steps.next_seq(state, recorded) != recorded.seq:
                raise Missing("state")
            made = steps.make(state, recorded)
        except Missing:
            report.count(type(recorded).__name__).not_comparable += 1
            if gap is None:
                gap = Gap(stretch.process, stretch.epoch, recorded.stamp_ns)
                report.gaps.append(gap)
            gap.add(recorded, outputs[place + 1] if place + 1 < len(outputs) else None, index.messages)
            after = states.get(_snapshot_seq(recorded), b"")
            state = snapshot.unpack(after, steps.classes) if after else None
            continue
        gap = None
        for key, message in made:
            compare(index, key, message, report)
    return Done(stretch, report, snapshot.pack(state) if state is not None else b"")


def consumed(index: Index, recorded: messages.Episodic) -> tuple[messages.Message, ...]:
    """Everything that an output was made of, in order. Raises Missing."""
    return tuple(index.get(reference) for reference in recorded.inputs)


def states_consumed(index: Index, recorded: messages.Episodic) -> dict[str, messages.Message]:
    """Of what an output was made of, all but pictures, by topic. Raises Missing."""
    return {topic: index.get((topic, epoch, seq)) for topic, epoch, seq in recorded.inputs if not _is_frame(topic)}


def _is_frame(topic: str) -> bool:
    return topic.startswith("frame.")


def _snapshots(index: Index, process: str, epoch: int) -> dict[int, bytes]:
    return {message.after_seq: message.state for message in index.snapshots.get((process, epoch), ())}


def _snapshot_seq(output: messages.Message) -> int:
    """The number by which a snapshot says that it was taken after this output; a skip's is none."""
    return -1 if isinstance(output, messages.Skip) else output.seq


def _readable(state: bytes, classes: tuple[type, ...]) -> bool:
    """Whether this version's steps can begin with it."""
    try:
        snapshot.unpack(state, classes)
    except snapshot.SessionError:
        return False
    return True
