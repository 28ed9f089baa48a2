"""All that one process hears and says: its publishers and subscribers, made through one bus and closed with it.
Used by every process through runtime/process/base.py; commands beside a run open a bus of their own.

How a topic travels is its row's business (topics.py): through a socket (socket_topic.py), or a ring (ring_topic.py).
"""

import os
import select
from collections.abc import Sequence
from pathlib import Path

import zmq

from runtime.errors import RuntimeFault
from runtime.host import realtime
from runtime.host.clock import NS_PER_S, robot_time_ns
from runtime.messaging.publisher import Publisher
from runtime.messaging.ring_topic import RingPublisher, RingSubscriber
from runtime.messaging.socket_topic import SocketPublisher, SocketSubscriber
from runtime.messaging.subscriber import Subscriber
from runtime.messaging.topics import topic


class Bus:
    """The sockets of one process: made through it, closed with it. Not for several threads.

    `processes`: the names of all that take part (runtime/process/processes.py), since some topics come from every one of them.
    `prompt`: its messages pass before ordinary work, where the process may have such threads.
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
            RuntimeFault: Unknown topic, this process is none of its publishers or has opened it before, or the folder cannot be
                used.
        """
        row = topic(name)
        if any(isinstance(one, Publisher) and one.topic is row for one in self._open):
            # It would take the address away: whoever is connected to the first hears nothing of the second, and the reverse.
            raise RuntimeFault(f"{name}: {self.process} publishes it already; use that publisher")
        if row.ring:
            made = RingPublisher(self.folder, row, self.process, self._processes)
        else:
            made = SocketPublisher(self._context, self.folder, row, self.process, self._processes)
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
        row = topic(name)
        if row.ring:
            made = RingSubscriber(self.folder, row, newest, depth, recording)
        else:
            made = SocketSubscriber(self._context, self.folder, row, self._processes, newest, depth, recording)
            self._poller.register(made.socket, zmq.POLLIN)
        self._open.append(made)
        return made

    def include(self, socket: "zmq.Socket[bytes]") -> None:
        """Let `wait` end for another socket's messages too."""
        self._poller.register(socket, zmq.POLLIN)

    def wait(self, timeout_s: float) -> bool:
        """Wait until a socket has something, at most `timeout_s`. Returns whether one has; rings wake nobody."""
        return bool(self._poller.poll(max(0, int(timeout_s * 1000))))

    def drain_until(self, subscribers: Sequence[Subscriber], until_ns: int) -> None:
        """Receive until a time (CLOCK_MONOTONIC ns), so that arrivals are stamped when they happen.

        `select` waits by the microsecond, ZeroMQ's own poll only by the millisecond. Each message of these wakes the process.
        """
        while (remaining_ns := until_ns - robot_time_ns()) > 0:
            self.drain(subscribers, remaining_ns / NS_PER_S)

    def drain(self, subscribers: Sequence[Subscriber], wait_s: float = 0.0) -> bool:
        """Receive what has come, or comes first within `wait_s`; only rings, and sockets that tell of news, are asked for it.

        Each is emptied whenever it is asked, so a socket whose descriptor is quiet holds nothing. Whoever drains these must not
        `wait` for them too: that asks ZeroMQ, and the descriptor is quiet afterwards.

        Args:
            subscribers: Of this bus.
            wait_s: Longest wait for a socket's first news; 0: none.

        Returns:
            Whether there was any news.
        """
        sockets = {one.descriptor: one for one in subscribers if one.descriptor is not None}
        readable, _, _ = select.select(sockets, (), (), wait_s)
        for descriptor in readable:
            sockets[descriptor].drain()
        came = [one.drain() for one in subscribers if one.descriptor is None]
        return bool(readable) or any(came)

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
