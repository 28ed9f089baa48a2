"""What every publisher does: encode, send without waiting, count. Base of socket_topic.py and ring_topic.py."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from runtime.errors import RuntimeFault
from runtime.messaging import codec, messages
from runtime.messaging.topics import Topic


class Publisher(ABC):
    """Sends one topic. Never blocks; a subscriber that is too late misses messages, and counts them."""

    def __init__(self, topic: Topic, process: str, processes: Sequence[str]) -> None:
        self.topic, self.sent = topic, 0
        senders = topic.senders(processes)
        if process not in senders:
            allowed = ", ".join(senders) or "none"
            raise RuntimeFault(f"{process} may not publish {topic.name}; its publishers are {allowed}")

    def send(self, message: messages.Message) -> None:
        """Encode a message and send it, without ever waiting."""
        self.send_raw(codec.encode(message))

    @abstractmethod
    def send_raw(self, payload: bytes) -> None:
        """Send an encoded message: a replay publishes the very bytes of the session."""
        ...

    @abstractmethod
    def wait_for_recorder(self, timeout_s: float) -> bool:
        """Wait until the recorder misses nothing of what is sent from now on. Returns False when it took too long."""
        ...

    @abstractmethod
    def close(self) -> None:
        """End; what was sent still arrives."""
        ...
