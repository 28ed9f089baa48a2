"""ZeroMQ publish/subscribe between the processes of one robot: one message, one frame, one endpoint a topic.
Used by every process through runtime/process/base.py; commands beside a run open a bus of their own.

Every queue is bounded, drops the oldest and counts it. Undecodable messages are counted and dropped here.
"""

import os
import select
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from runtime.errors import RuntimeFault, WireError
from runtime.host import realtime
from runtime.host.clock import NS_PER_S, robot_time_ns
from runtime.messaging import messages, unchecked
from runtime.messaging.topics import Topic, topic

_SEND_QUEUE = 2000  # messages per subscriber; chosen: ten seconds of joint states
_BUFFER_BYTES = 4194304
"""Asked of the kernel for a socket; chosen: 4 MiB, one message of conditions at full size (3.1 MB)."""
_RECONNECT_MS = 10  # between two tries to reach a publisher; chosen: a tenth of ZeroMQ's own, two ticks of the arms
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


class Publisher:
    """Sends one topic. Never blocks: a full queue of a slow subscriber drops for that subscriber alone."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        folder: Path,
        name: str,
        process: str,
        processes: Sequence[str],
    ) -> None:
        self.topic = topic(name)
        senders = self.topic.senders(processes)
        if process not in senders:
            raise RuntimeFault(f"{process} may not publish {name}; its publishers are {', '.join(senders) or 'none'}")
        self._socket = context.socket(zmq.XPUB)
        self._socket.set_hwm(_SEND_QUEUE)
        self._socket.setsockopt(zmq.LINGER, 200)
        self._socket.setsockopt(zmq.SNDBUF, _BUFFER_BYTES)
        try:
            self._socket.bind(endpoint(folder, self.topic, process))
        except zmq.ZMQError as error:
            self._socket.close()  # else its context waits for it for ever
            raise RuntimeFault(
                f"{folder}: cannot be opened ({error.strerror}); run this as the user of the run (sudo -u USER ...)"
            ) from None
        self.sent = 0

    def send(self, message: messages.Message) -> None:
        """Encode a message and send it, without ever waiting. A subscriber whose queue is full misses it."""
        self.send_raw(messages.encode(message))

    def send_raw(self, payload: bytes) -> None:
        """Send an encoded message: a replay publishes the very bytes of the session."""
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


@dataclass
class Received:
    """One decoded message, with the moment its bytes were taken from the socket (CLOCK_MONOTONIC ns)."""

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


class Subscriber:
    """Receives one topic from all its publishers. `newest` keeps one message, otherwise the last `depth`.

    `recording` tells the publishers that the recorder listens, and keeps the payloads; those of a topic that is
    `unchecked.FLAT` are decoded without checking their values.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        folder: Path,
        name: str,
        processes: Sequence[str],
        newest: bool = False,
        depth: int = 64,
        recording: bool = False,
    ) -> None:
        self.topic = topic(name)
        self.counters = Counters()
        self.socket = context.socket(zmq.SUB)
        if newest and len(self.topic.publishers) == 1:
            self.socket.setsockopt(zmq.CONFLATE, 1)
        self.socket.set_hwm(max(depth, _SEND_QUEUE))
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVBUF, _BUFFER_BYTES)
        self.socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        self.socket.subscribe(b"")
        if recording:
            self.socket.subscribe(RECORDER_MARK)
        for publisher in self.topic.senders(processes):
            self.socket.connect(endpoint(folder, self.topic, publisher))
        self.descriptor = int(self.socket.getsockopt(zmq.FD))
        self._last_seen = _LastSeen()
        self._waiting: deque[Received] = deque(maxlen=1 if newest else depth)
        self._newest, self._recording = newest, recording
        self._decode = unchecked.read if recording and self.topic.message in unchecked.FLAT else messages.decode

    def drain(self) -> None:
        """Take everything from the socket into the bounded queue, decode and stamp it. Does not wait."""
        while (
            int(self.socket.getsockopt(_EVENTS)) & _READABLE
        ):  # an exception for "nothing" costs more than this question
            self._accept(self.socket.recv(zmq.NOBLOCK, copy=False).buffer)

    def take(self) -> list[Received]:
        """Drain, then hand over all messages that wait, oldest first."""
        self.drain()
        return self.taken()

    def taken(self) -> list[Received]:
        """Hand over what was drained before, oldest first; asks the socket for nothing."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    def _accept(self, payload: memoryview) -> None:
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

    def close(self) -> None:
        """Close the socket at once; what it still held is lost."""
        self.socket.close()


class Bus:
    """The sockets of one process: made through it, closed with it. Not for several threads.

    `processes`: the names of all (runtime/process/processes.py), since some topics come from every one of them. `prompt`: its
    messages pass before ordinary work, where the process may have such threads.
    """

    def __init__(self, folder: Path, process: str, processes: Sequence[str], prompt: bool = False) -> None:
        self.folder, self.process, self._processes = folder, process, tuple(processes)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        if prompt and realtime.allowed(realtime.MESSAGES_PRIORITY):  # ZeroMQ aborts when it is not
            self._context.set(zmq.THREAD_SCHED_POLICY, os.SCHED_FIFO)
            self._context.set(zmq.THREAD_PRIORITY, realtime.MESSAGES_PRIORITY)
        self._poller = zmq.Poller()
        self._open: list[Publisher | Subscriber] = []

    def publisher(self, name: str) -> Publisher:
        """Open a publisher of a topic.

        Args:
            name: Of runtime/messaging/topics.py.

        Raises:
            RuntimeFault: Unknown topic, this process is none of its publishers, or the folder cannot be used.
        """
        made = Publisher(self._context, self.folder, name, self.process, self._processes)
        self._open.append(made)
        return made

    def subscriber(self, name: str, newest: bool = False, depth: int = 64, recording: bool = False) -> Subscriber:
        """Open a subscriber of a topic, connected to all its publishers, those too that do not live yet.

        Args:
            name: Of runtime/messaging/topics.py.
            newest: Keep only the newest message.
            depth: Otherwise keep so many; older ones are dropped and counted.
            recording: As the recorder: keep the payloads, and let publishers know that somebody records.

        Raises:
            RuntimeFault: Unknown topic.
        """
        made = Subscriber(self._context, self.folder, name, self._processes, newest, depth, recording)
        self._poller.register(made.socket, zmq.POLLIN)
        self._open.append(made)
        return made

    def include(self, socket: "zmq.Socket[bytes]") -> None:
        """Let `wait` end for another socket's messages too."""
        self._poller.register(socket, zmq.POLLIN)

    def wait(self, timeout_s: float) -> bool:
        """Wait until any subscriber has something, at most `timeout_s`. Returns whether one has."""
        return bool(self._poller.poll(max(0, int(timeout_s * 1000))))

    def drain_until(self, subscribers: Sequence[Subscriber], until_ns: int) -> None:
        """Receive until a time (CLOCK_MONOTONIC ns), so that arrivals are stamped when they happen.

        `select` waits by the microsecond, ZeroMQ's own poll only by the millisecond.
        """
        remaining_ns = max(0, until_ns - robot_time_ns())
        self.drain(subscribers, remaining_ns / NS_PER_S)
        while (remaining_ns := until_ns - robot_time_ns()) > 0:
            self.drain(subscribers, remaining_ns / NS_PER_S)

    def drain(self, subscribers: Sequence[Subscriber], wait_s: float = 0.0) -> bool:
        """Receive what has come, or comes first within `wait_s`; only sockets that tell of news are asked for it.

        Each is emptied whenever it is asked, so a socket whose descriptor is quiet holds nothing. Whoever drains these must not
        `wait` for them too: that asks ZeroMQ, and the descriptor is quiet afterwards.

        Args:
            subscribers: Of this bus.
            wait_s: Longest wait for the first news; 0: none.

        Returns:
            Whether there was any news.
        """
        by_descriptor = {subscriber.descriptor: subscriber for subscriber in subscribers}
        readable, _, _ = select.select(by_descriptor, (), (), wait_s)
        for descriptor in readable:
            by_descriptor[descriptor].drain()
        return bool(readable)

    @property
    def sent(self) -> int:
        """Messages that this process sent since it began, without its heartbeats."""
        publishers = [socket for socket in self._open if isinstance(socket, Publisher)]
        return sum(publisher.sent for publisher in publishers if publisher.topic.name != "heartbeat")

    @property
    def lost(self) -> int:
        """Messages to this process that it never saw, by all its subscribers' counters."""
        return sum(socket.counters.total for socket in self._open if isinstance(socket, Subscriber))

    def close(self) -> None:
        """Close all sockets, and wait until what is queued has gone out (at most 0.2 s)."""
        for socket in self._open:
            socket.close()
        self._context.term()
