"""What every subscriber does with the messages that reach it: decode, stamp, keep a bounded number, count what is lost.
Base of socket_topic.py and ring_topic.py, which know how a message travels.
"""

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field

from runtime.errors import WireError
from runtime.host.clock import robot_time_ns
from runtime.messaging import codec, messages, unchecked
from runtime.messaging.topics import Topic


@dataclass
class Received:
    """One decoded message, with the moment its bytes were taken (CLOCK_MONOTONIC ns)."""

    message: messages.Message
    arrival_ns: int
    payload: bytes  # as it came, for the session; empty unless the subscriber keeps it


@dataclass
class Counters:
    """What did not get through, by reason."""

    overflowed: int = 0  # dropped here, oldest first, because the reader was late
    missed: int = 0  # gaps in seq: dropped on the way
    rejected: int = 0  # undecodable, oversize or not what the topic carries
    last_reason: str = ""

    @property
    def total(self) -> int:
        """Messages that were not handed to the reader, whatever the reason."""
        return self.overflowed + self.missed + self.rejected


@dataclass
class _LastSeen:
    """The last (epoch, seq) of each publisher, to see gaps."""

    seen: dict[int, int] = field(default_factory=dict)

    def gap(self, message: messages.Message) -> int:
        previous = self.seen.get(message.epoch)
        self.seen[message.epoch] = message.seq
        return 0 if previous is None else max(0, message.seq - previous - 1)


class Subscriber(ABC):
    """Receives one topic from all its publishers. `newest` keeps one message, otherwise the last `depth`.

    `descriptor` becomes readable when news has come; None: nothing tells of it. `recording` keeps the payloads; those of a
    topic that is `unchecked.FLAT` are decoded without checking their values.
    """

    def __init__(self, topic: Topic, newest: bool, depth: int, recording: bool) -> None:
        self.topic, self.counters = topic, Counters()
        self.descriptor: int | None = None
        self._last_seen = _LastSeen()
        self._waiting: deque[Received] = deque(maxlen=1 if newest else depth)
        self._newest, self._recording = newest, recording
        self._decode = unchecked.read if recording and topic.message in unchecked.FLAT else codec.decode

    @abstractmethod
    def drain(self) -> bool:
        """Take everything that has come into the bounded queue, decode and stamp it. Does not wait. Returns whether any had."""
        ...

    def take(self) -> list[Received]:
        """Drain, then hand over all messages that wait, oldest first."""
        self.drain()
        return self.taken()

    def taken(self) -> list[Received]:
        """Hand over what was drained before, oldest first; asks for nothing."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    @abstractmethod
    def close(self) -> None:
        """Let go of the topic at once."""
        ...

    def accept(self, payload: memoryview | bytes) -> None:
        """Decode one message and let it wait; one that is no message of this topic is counted and dropped."""
        arrival_ns = robot_time_ns()
        if len(payload) > self.topic.max_bytes:
            self._reject(f"{len(payload)} bytes (limit {self.topic.max_bytes})")
            return
        try:
            message = self._decode(payload, self.topic.message)
        except WireError as error:
            self._reject(str(error))
            return
        if not self._newest:
            if len(self.topic.publishers) == 1:  # several publishers count for themselves
                self.counters.missed += self._last_seen.gap(message)
            self.counters.overflowed += len(self._waiting) == self._waiting.maxlen
        self._waiting.append(Received(message, arrival_ns, bytes(payload) if self._recording else b""))

    def _reject(self, reason: str) -> None:
        self.counters.rejected += 1
        self.counters.last_reason = reason
