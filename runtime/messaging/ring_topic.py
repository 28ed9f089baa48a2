"""Publisher and subscriber of a topic that travels through a ring in shared memory. Made by bus.py for the topics of 200 Hz.

Nobody is woken: a subscriber finds what came since it looked last. It costs the publisher a copy, however many listen.
"""

from collections.abc import Sequence
from pathlib import Path

from runtime.messaging.message_ring import MessageRing
from runtime.messaging.publisher import Publisher
from runtime.messaging.subscriber import Subscriber
from runtime.messaging.topics import Topic

CAPACITY_BYTES = 1 << 23
"""Chosen: 8 MiB, a minute of joint states (640 bytes, 200 a second), longer than a disk holds the recorder up."""


def ring_path(folder: Path, topic: Topic) -> Path:
    """Where the ring of a topic lies; the folder has mode 0700, which keeps other users out."""
    return folder / f"{topic.name}.ring"


class RingPublisher(Publisher):
    """Sends one topic into its ring."""

    def __init__(self, folder: Path, topic: Topic, process: str, processes: Sequence[str]) -> None:
        super().__init__(topic, process, processes)
        self._ring = MessageRing.create(ring_path(folder, topic), CAPACITY_BYTES)

    def send_raw(self, payload: bytes) -> None:
        """Copy an encoded message into the ring."""
        self._ring.append(payload)
        self.sent += 1

    def wait_for_recorder(self, timeout_s: float) -> bool:
        """Wait for nothing: the recorder reads from the ring's beginning, whenever it comes."""
        return True

    def close(self) -> None:
        """Unmap the ring; its messages stay for those who have not read them."""
        self._ring.close()


class RingSubscriber(Subscriber):
    """Reads one topic's ring: from the next message on, or from the first one where the ring is made later.

    One that records notes in the ring how far it came; a recorder that is started again goes on there. The messages of a whole
    minute would keep it busy for seconds, and their inputs are in its predecessor's file.
    """

    def __init__(self, folder: Path, topic: Topic, newest: bool, depth: int, recording: bool) -> None:
        super().__init__(topic, newest, depth, recording)
        self._path = ring_path(folder, topic)
        self._ring = MessageRing.attach(self._path)
        self._place = 0 if self._ring is None else self._ring.recorded if recording else self._ring.end

    def drain(self) -> bool:
        """Read everything that came since the last call; of the newest alone nothing before it."""
        self._ring = self._ring or MessageRing.attach(self._path)
        if self._ring is None:
            return False
        ring, begun = self._ring, self._place
        if self._recording:
            ring.recorded = begun  # what the last call gave has been written, or the most of it: a chunk may be lost
        if self._newest:
            self._place = max(self._place, min(ring.last, ring.end))
        while True:
            self._place = max(self._place, ring.begin)  # what is overwritten shows as a gap in the messages' numbers
            found = ring.read(self._place)
            if found is None:
                return self._place != begun
            payload, self._place = found
            self.accept(payload)

    def close(self) -> None:
        """Unmap the ring."""
        if self._ring is not None:
            self._ring.close()
