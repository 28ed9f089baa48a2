"""A wire between two processes of a running robot, taken over: what its sender says passes through here, and may be changed.
Used by message_rows.py.

Who listens to a topic connects to its socket's file, and comes back to whoever has that file. So the sender is killed first.
Until it is started again this process has the file; afterwards it is this one's only listener.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import zmq

from runtime.errors import RuntimeFault
from runtime.faults.live_robot import LiveRobot
from runtime.messaging.socket_topic import RECORDER_MARK, endpoint, socket_path
from runtime.messaging.topics import topic

_AGAIN_S, _POLL_MS = 60.0, 5  # longest start of the sender; between two looks at its socket; chosen
_PACE_S = 0.02  # chosen: so long a look at the bus takes
Change = Callable[[bytes], list[bytes]]
"""What goes on in place of one message."""


class Wire:
    """A topic's wire from its one sender, taken over. `change` may be set at any time."""

    def __init__(self, name: str) -> None:
        self._topic = topic(name)
        self._sender = self._topic.publishers[0]
        self.change: Change | None = None
        self.passed = 0  # messages that went on, changed or not
        self._ending = threading.Event()

    @classmethod
    def of(cls, robot: LiveRobot, name: str) -> "Wire":
        """The wire of a topic, taken over at the first call in a run; it is given back when the run ends."""
        wire = robot.closing.get(name)
        if not isinstance(wire, Wire):
            wire = cls(name)
            wire._take(robot)
            robot.closing[name] = wire
        return wire

    def _take(self, robot: LiveRobot) -> None:
        """Kill the sender, take its place, and wait until what it sends once it is started again goes on from here."""
        path = socket_path(robot.folder, self._topic, self._sender)
        os.kill(robot.child(self._sender), signal.SIGKILL)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._out = self._context.socket(zmq.XPUB)
        self._out.setsockopt(zmq.LINGER, 0)
        self._out.bind(endpoint(robot.folder, self._topic, self._sender))
        own = _inode(path)
        if not robot.wait(lambda: _inode(path) not in (0, own), _AGAIN_S):
            raise RuntimeFault(f"{self._sender} was not started again within {_AGAIN_S:.0f} s")
        self._in = self._context.socket(zmq.SUB)
        self._in.setsockopt(zmq.LINGER, 0)
        self._in.subscribe(b"")
        self._in.subscribe(RECORDER_MARK)
        self._in.connect(endpoint(robot.folder, self._topic, self._sender))
        self._thread = threading.Thread(target=self._carry, name="wire", daemon=True)
        self._thread.start()

    def _carry(self) -> None:
        while not self._ending.is_set():
            if self._in.poll(_POLL_MS):
                payload, change = self._in.recv(), self.change
                for each in (payload,) if change is None else change(payload):
                    self._out.send(each)
                    self.passed += 1
        self._in.close()
        self._out.close()

    def close(self) -> None:
        """Let the listeners find the sender itself again."""
        self._ending.set()
        self._thread.join()
        self._context.term()


def _inode(path: Path) -> int:
    """Which file it is; 0: there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def flood(robot: LiveRobot, name: str, sender: str, payloads: Iterable[bytes], rate_hz: float) -> None:
    """Say these on a topic as one of its senders that does not run."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.XPUB)
    socket.setsockopt(zmq.LINGER, 200)
    row = topic(name)
    try:
        socket.bind(endpoint(robot.folder, row, sender))
        robot.pause(0.5)  # until all who listen have found it
        paced(robot, payloads, rate_hz, socket.send)
    finally:
        socket.close()
        context.term()
        with suppress(FileNotFoundError):
            socket_path(robot.folder, row, sender).unlink()


def paced(robot: LiveRobot, payloads: Iterable[bytes], rate_hz: float, send: Callable[[bytes], object]) -> None:
    """Send so many a second, and listen to the run meanwhile."""
    began = time.monotonic()
    for number, payload in enumerate(payloads):
        ahead_s = number / rate_hz - (time.monotonic() - began)
        if ahead_s > _PACE_S:
            robot.pause(ahead_s)
        send(payload)
