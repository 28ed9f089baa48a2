"""What a replay made again, against what was recorded: byte for byte, and what differs in words. Called by lockstep.py."""

import math
from dataclasses import dataclass, field

import numpy as np

from runtime.messaging import codec, messages
from runtime.replay.gaps import Gap
from runtime.replay.index import Index, Key

_SENTENCES: dict[type[messages.Message], tuple[str, ...]] = {
    messages.SafetyState: ("reasons", "answer"),
    messages.Skip: ("reason",),
}
"""Fields for people, by message: another revision may word them otherwise, but gives as many."""
_ADDED: dict[int, dict[type[messages.Message], tuple[str, ...]]] = {1: {messages.Conditions: ("covers",)}}
"""Fields that the next schema brought, by message: in a session of this schema nothing can be compared there."""

_MOST_GAPS = 10  # that are told one by one; chosen: half a terminal


@dataclass
class Count:
    """How many messages of one type were compared, differed or were missing."""

    compared: int = 0
    differing: int = 0
    not_comparable: int = 0
    first_difference: str = ""
    apart: float = (
        0.0  # largest difference between arrays, or numbers that are no counts; infinite where anything else differs
    )


@dataclass
class Report:
    """What a lockstep replay found, by message type."""

    counts: dict[str, Count] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list[Gap])  # of the processes' outputs, in order
    began_ns: int = 0  # of the session, CLOCK_MONOTONIC
    reworded: int = 0  # messages that are equal but for their sentences, in a session of another revision

    def add(self, other: "Report") -> None:
        """Count what another stretch of the session gave, later than what is counted already."""
        self.reworded += other.reworded
        self.gaps += other.gaps
        for kind, more in other.counts.items():
            count = self.count(kind)
            count.compared += more.compared
            count.differing += more.differing
            count.not_comparable += more.not_comparable
            count.first_difference = count.first_difference or more.first_difference
            count.apart = max(count.apart, more.apart)

    def count(self, kind: str) -> Count:
        """The counts of a message type; made at the first call."""
        return self.counts.setdefault(kind, Count())

    def gap_lines(self) -> list[str]:
        """What the session lacks, a line for each of the first gaps."""
        more = [f"{len(self.gaps) - _MOST_GAPS} further gaps"] if len(self.gaps) > _MOST_GAPS else []
        return [gap.line(self.began_ns) for gap in self.gaps[:_MOST_GAPS]] + more

    @property
    def identical(self) -> bool:
        """Whether chunks and arm commands were compared and nothing differed or was missing."""
        return all(self.count(kind).compared for kind in ("ActionChunk", "ArmTarget")) and self.alike

    @property
    def alike(self) -> bool:
        """Whether something was compared, and nothing differed or was missing."""
        rows = self.counts.values()
        return any(row.compared for row in rows) and not any(row.differing or row.not_comparable for row in rows)


def compare(index: Index, key: Key, made: messages.Message | None, report: Report) -> None:
    """Compare the bytes of an output that was made again; a difference is counted, and the first one described."""
    recorded = index.payloads.get(key)
    kind = type(index.messages[key]).__name__ if key in index.messages else type(made).__name__
    count = report.count(kind)
    if recorded is None:
        count.not_comparable += 1
        return
    count.compared += 1
    added = _ADDED.get(index.session.schema)
    if made is not None and added is not None:
        made = _with(made, index.messages[key], added)
    if made is not None and codec.encode(made) == recorded:
        return
    if made is not None and index.other_revision:
        made = _reworded(made, index.messages[key])
        if codec.encode(made) == recorded:
            report.reworded += 1
            return
    count.differing += 1
    count.apart = max(count.apart, _apart(index.messages[key], made))
    if not count.first_difference:
        count.first_difference = f"{kind} {key[2]} (epoch {key[1]}): {_describe(index.messages[key], made)}"


def _with(
    made: messages.Message, recorded: messages.Message, fields: dict[type[messages.Message], tuple[str, ...]]
) -> messages.Message:
    """The message with some fields of the recorded one."""
    names = fields.get(type(made), ()) if type(made) is type(recorded) else ()
    return made.model_copy(update={name: getattr(recorded, name) for name in names})


def _reworded(made: messages.Message, recorded: messages.Message) -> messages.Message:
    """The message in the recorded words; not where another number of sentences was said, or one of both said nothing."""
    if type(made) is not type(recorded):
        return made
    names = _SENTENCES.get(type(made), ())
    said = tuple(name for name in names if _alike(getattr(made, name), getattr(recorded, name)))
    return _with(made, recorded, {type(made): said})


def _alike(made: str | tuple[str, ...], recorded: str | tuple[str, ...]) -> bool:
    """Whether both say nothing, or both one thing, or both as many."""
    return bool(made) == bool(recorded) if isinstance(made, str) else len(made) == len(recorded)


def _apart(recorded: messages.Message, made: messages.Message | None) -> float:
    """How far two messages are from each other in their arrays and measures; infinite where they differ otherwise."""
    if type(made) is not type(recorded):
        return math.inf
    most = 0.0
    for name in type(recorded).model_fields:
        a, b = getattr(recorded, name), getattr(made, name)
        if hasattr(a, "shape") and a.shape == b.shape:
            most = max(most, float(np.abs(a.astype(float) - b.astype(float)).max(initial=0.0)))
        elif isinstance(a, float):
            most = max(most, abs(a - b))
        elif hasattr(a, "shape") or a != b:
            return math.inf
    return most


def _describe(recorded: messages.Message, made: messages.Message | None) -> str:
    if made is None:
        return "the replay gave nothing"
    if type(made) is not type(recorded):
        return f"the replay gave a {type(made).__name__}"
    for name in type(recorded).model_fields:
        a, b = getattr(recorded, name), getattr(made, name)
        if hasattr(a, "shape"):
            if a.tobytes() != b.tobytes():
                return f"{name} differs by up to {np.abs(a.astype(float) - b.astype(float)).max():.3g}"
        elif a != b:
            return f"{name}: recorded {a!r:.60}, replayed {b!r:.60}"
    return "only the encoding differs"
