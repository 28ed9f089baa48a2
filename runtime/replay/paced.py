"""Paced replay: a session's messages on the bus at their recorded times, pictures in the rings.
Called by command.py; shown by console.py.
"""

import time
from collections.abc import Callable
from pathlib import Path

from runtime.errors import SessionError
from runtime.host.clock import NS_PER_S, robot_time_ns
from runtime.messaging import messages
from runtime.messaging.bus import Bus
from runtime.messaging.frame_ring import FrameRing
from runtime.messaging.publisher import Publisher
from runtime.messaging.topics import topic
from runtime.process.processes import PROCESSES
from runtime.session.reader import Session, decode_all

_RING_SLOTS = 96  # frames of a camera; chosen: three seconds at 30 Hz, more than any reader is behind


class PacedReplay:
    """Publishes a session into a run's folder. Message stamps stay those of the recording."""

    def __init__(self, session: Session, folder: Path) -> None:
        self._session, self._folder = session, folder
        self._rows = sorted(decode_all(session), key=lambda row: row[1].stamp_ns)
        if not self._rows:
            raise SessionError(f"{session.path}: no message can be decoded: another version wrote it; use that one")
        self._first_ns, self._last_ns = self._rows[0][1].stamp_ns, self._rows[-1][1].stamp_ns
        self._started_ns, self._speed = 0, 1.0
        self._buses: dict[str, Bus] = {}
        self._publishers: dict[str, Publisher] = {}
        self._rings: dict[str, FrameRing] = {}

    def run(self, speed: float = 1.0, pause: Callable[[float], object] = time.sleep) -> int:
        """Publish everything, `speed` times as fast as recorded. Returns the number of messages.

        `pause(seconds)` sleeps, and tells when to end early.
        """
        for name, _, _ in self._rows:
            self._publisher(name)
        self._speed, self._started_ns = speed, robot_time_ns()
        for count, (name, message, payload) in enumerate(self._rows):
            wait_ns = self._started_ns + int((message.stamp_ns - self._first_ns) / speed) - robot_time_ns()
            if wait_ns > 0 and pause(wait_ns / NS_PER_S):
                return count
            if isinstance(message, messages.Frame):
                self._show(message)
            self._publisher(name).send_raw(payload)
        return len(self._rows)

    def time_ns(self) -> int:
        """The recorded time (CLOCK_MONOTONIC then, ns) that is played now; it stands before the beginning and at the end."""
        if not self._started_ns:
            return self._first_ns
        return min(self._first_ns + int((robot_time_ns() - self._started_ns) * self._speed), self._last_ns)

    def close(self) -> None:
        """Close the sockets and rings."""
        for ring in self._rings.values():
            ring.close()
        for bus in self._buses.values():
            bus.close()

    def _publisher(self, name: str) -> Publisher:
        if name not in self._publishers:
            process = topic(name).senders(PROCESSES)[0]
            if process not in self._buses:
                self._buses[process] = Bus(self._folder, process, PROCESSES)
            self._publishers[name] = self._buses[process].publisher(name)
        return self._publishers[name]

    def _show(self, notice: messages.Frame) -> None:
        jpeg, picture = self._session.jpeg(notice.camera, notice.seq), self._session.picture(notice.camera, notice.seq)
        if jpeg is None or picture is None:
            return
        if notice.camera not in self._rings:
            height_px, width_px, _ = picture.shape
            path = self._folder / f"{notice.camera}.ring"
            self._rings[notice.camera] = FrameRing.create(path, width_px, height_px, _RING_SLOTS)
        self._rings[notice.camera].write(notice.seq, notice.capture_ns, picture, jpeg)
