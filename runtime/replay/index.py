"""A session's messages by what outputs name them by. Read by the lockstep replay and by what-if."""

from runtime.host.revision import revision
from runtime.messaging import messages
from runtime.session.reader import Session, decode_all

Key = tuple[str, int, int]  # topic, epoch, seq


class Missing(Exception):
    """An input that the session does not hold."""


class Index:
    """A session's messages by topic, epoch and seq, and in order by topic."""

    def __init__(self, session: Session) -> None:
        self.session, present = session, revision()
        self.other_revision = not present or session.metadata.get("revision") != present
        self.messages: dict[Key, messages.Message] = {}
        self.payloads: dict[Key, bytes] = {}
        self.snapshots: dict[tuple[str, int], list[messages.Snapshot]] = {}
        for topic, message, payload in decode_all(session):
            if isinstance(message, messages.Snapshot):
                if not message.state:  # of a former schema
                    continue
                self.snapshots.setdefault((message.process, message.epoch), []).append(message)
                continue
            key = (topic, message.epoch, message.seq)
            self.messages[key], self.payloads[key] = message, payload

    @property
    def began_ns(self) -> int:
        """When the oldest of its messages was sent, CLOCK_MONOTONIC."""
        return min((message.stamp_ns for message in self.messages.values()), default=0)

    def get(self, reference: messages.InputRef) -> messages.Message:
        """The message that a reference names. Raises Missing where it was not logged."""
        if reference not in self.messages:
            raise Missing(f"{reference[0]} {reference[2]}")
        return self.messages[reference]

    def of(self, *topics: str) -> dict[int, list[messages.Message]]:
        """All messages of some topics by epoch, in the order of their steps."""
        found: dict[int, list[messages.Message]] = {}
        for (topic, epoch, _), message in self.messages.items():
            if topic in topics:
                found.setdefault(epoch, []).append(message)
        for rows in found.values():
            rows.sort(key=lambda message: (message.stamp_ns, message.seq))
        return found
