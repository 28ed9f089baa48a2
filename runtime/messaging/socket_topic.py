"""ZeroMQ publish/subscribe between the processes of one robot: one message, one frame, one endpoint a topic and publisher.
Made by bus.py for all topics but those of 200 Hz.

Every queue is bounded, drops the oldest and counts it.
"""

from collections.abc import Sequence
from pathlib import Path

import zmq

from runtime.errors import RuntimeFault
from runtime.host.clock import robot_time_ns
from runtime.messaging.publisher import Publisher
from runtime.messaging.subscriber import Subscriber
from runtime.messaging.topics import Topic

_SEND_QUEUE = 2000  # messages per subscriber; chosen: a minute of pictures' notices
_BUFFER_BYTES = 4194304
"""Asked of the kernel for a socket; chosen: 4 MiB, one message of conditions at full size (3.1 MB)."""
_RECONNECT_MS, _RECONNECT_MOST_MS = 10, 40
"""Between two tries to reach a publisher, twice as long after each. Chosen: two ticks of the arms; and at most so long that a
publisher who is not there, an operator at another terminal, costs its subscribers 25 tries a second in place of 66."""
_ZERO_COPY_BYTES = 1 << 20
"""Below it one copy costs less than the collector thread that zero-copy needs: copying 512 KB takes 30 us, 3.1 MB 136 us
(`./launch/bench.sh` measures both floors)."""
_EVENTS, _READABLE = int(zmq.EVENTS), int(zmq.POLLIN)
LONGEST_PATH = 107  # of a unix socket: sockaddr_un holds 108 bytes with the closing zero
RECORDER_MARK = b"\xc1recorder"  # 0xc1 never begins a msgpack message: a subscription that tells who is there


def socket_path(folder: Path, row: Topic, publisher: str) -> Path:
    """Where the unix socket of a topic's publisher lies; the folder has mode 0700, which keeps other users out."""
    name = row.name if len(row.publishers) == 1 else f"{row.name}.{publisher}"
    return folder / f"{name}.ipc"


def endpoint(folder: Path, row: Topic, publisher: str) -> str:
    """ZeroMQ's address of a topic's publisher."""
    return f"ipc://{socket_path(folder, row, publisher)}"


class SocketPublisher(Publisher):
    """Sends one topic. A full queue of a slow subscriber drops for that subscriber alone."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        folder: Path,
        topic: Topic,
        process: str,
        processes: Sequence[str],
    ) -> None:
        super().__init__(topic, process, processes)
        self._socket = context.socket(zmq.XPUB)
        self._socket.set_hwm(_SEND_QUEUE)
        self._socket.setsockopt(zmq.LINGER, 200)
        self._socket.setsockopt(zmq.SNDBUF, _BUFFER_BYTES)
        try:
            self._socket.bind(endpoint(folder, topic, process))
        except zmq.ZMQError as error:
            self._socket.close()  # else its context waits for it for ever
            raise RuntimeFault(
                f"{folder}: cannot be opened ({error.strerror}); run this as the user of the run (sudo -u USER ...)"
            ) from None

    def send_raw(self, payload: bytes) -> None:
        """Send an encoded message. A subscriber whose queue is full misses it."""
        self._socket.send(payload, zmq.NOBLOCK, copy=len(payload) < _ZERO_COPY_BYTES)
        self.sent += 1

    def wait_for_recorder(self, timeout_s: float) -> bool:
        """Wait until the recorder listens, so that not even the first message is missing in the session.

        Returns:
            False when it did not within `timeout_s`.
        """
        deadline_ns = robot_time_ns() + round(timeout_s * 1e9)
        while (remaining_ms := (deadline_ns - robot_time_ns()) // 1_000_000) >= 0:
            if self._socket.poll(remaining_ms) and self._socket.recv() == b"\x01" + RECORDER_MARK:
                return True
        return False

    def close(self) -> None:
        """Close the socket; what is queued still goes out, for at most 0.2 s."""
        self._socket.close()


class SocketSubscriber(Subscriber):
    """Receives one topic from all its publishers that take part. `recording` tells them that the recorder listens."""

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", folder: Path, topic: Topic, processes: Sequence[str],
        newest: bool, depth: int, recording: bool,
    ) -> None:  # fmt: skip
        super().__init__(topic, newest, depth, recording)
        self.socket = context.socket(zmq.SUB)
        if newest and len(topic.publishers) == 1:
            self.socket.setsockopt(zmq.CONFLATE, 1)
        self.socket.set_hwm(max(depth, _SEND_QUEUE))
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVBUF, _BUFFER_BYTES)
        self.socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MOST_MS)
        self.socket.subscribe(b"")
        if recording:
            self.socket.subscribe(RECORDER_MARK)
        for publisher in topic.present(processes):
            self.socket.connect(endpoint(folder, topic, publisher))
        self.descriptor = int(self.socket.getsockopt(zmq.FD))

    def drain(self) -> bool:
        """Take everything from the socket; an exception for "nothing" would cost more than the question for news."""
        news = False
        while int(self.socket.getsockopt(_EVENTS)) & _READABLE:
            self.accept(self.socket.recv(zmq.NOBLOCK, copy=False).buffer)
            news = True
        return news

    def close(self) -> None:
        """Close the socket at once; what it still held is lost."""
        self.socket.close()
