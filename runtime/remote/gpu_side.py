"""The command `system2.sh --robot tcp://ROBOT:PORT --keys DIR`: System 2 alone, on a GPU box, for a robot that waits for it.
Called by runtime/cli.py.

The very process of the robot runs here, on a bus of its own: this command fills that bus with what the robot sends, and sends
back what System 2 says. Times are the robot's: its clock is compared all the time. The robot's settings hold, but for
--policy.* and --system2.* given here: where the checkpoint lies on this machine, and on which device it runs.
"""

import os
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Any

import simplejpeg

from runtime.config import overrides
from runtime.config.loading import settings_from_json, settings_to_json
from runtime.config.policy import policy_needs
from runtime.config.settings import Settings
from runtime.devices.ring_room import ring_slots
from runtime.errors import SettingsError, WireError
from runtime.host import clock
from runtime.host.revision import revision
from runtime.host.run_folder import BOX_PREFIX, MemoryFolder
from runtime.host.terminal import say
from runtime.messaging import codec, messages
from runtime.messaging.bus import Bus
from runtime.messaging.frame_ring import FrameRing
from runtime.messaging.publisher import Publisher
from runtime.messaging.subscriber import Subscriber
from runtime.messaging.topics import topic
from runtime.messaging.upgrades import SCHEMA_NUMBER
from runtime.policy.embedding_cache import EmbeddingCache
from runtime.process.base import RunFile
from runtime.process.processes import PROCESSES
from runtime.remote import packets
from runtime.remote.comparison import Comparison
from runtime.remote.flags import SYSTEM2
from runtime.remote.link import Link, Packet
from runtime.remote.packets import TO_ROBOT, number, seen_cameras, stamp, to_box

_WAIT_S, _HELLO_S, _PING_S, _GONE_S, _END_S = 0.02, 0.5, 0.05, 3.0, 3.0
"""Longest wait for a packet; between two hellos, and two questions for the time; without an answer the robot is gone; for
System 2 to end. Chosen."""
_PAUSES_S = (1.0, 60.0)
"""Before a System 2 that ended is started again: the first, and the longest; each is twice the one before. Chosen."""


class GpuSide:
    """System 2's surroundings on this machine: its bus, its rings, its settings, and the robot's clock."""

    def __init__(self, link: Link, flags: dict[str, Any]) -> None:
        self._link, self._flags = link, flags
        self._memory_folder = MemoryFolder(BOX_PREFIX)
        self.folder = self._memory_folder.path
        self._offset, self._comparison = clock.Offset(self.folder / "clock"), Comparison()
        self._settings: Settings | None = None
        self._epoch, self._life = 0, time.time_ns()  # the second tells one hello from its repetition
        self._child: subprocess.Popen[bytes] | None = None
        self._buses: list[Bus] = []
        self._publishers: dict[str, Publisher] = {}
        self._replies: dict[str, Subscriber] = {}
        self._rings: dict[str, FrameRing] = {}
        self._asked_s = self._heard_s = time.monotonic()
        self._pause_s = _PAUSES_S[0] / 2
        self._ending = False

    def run(self) -> int:
        """Serve until Ctrl-C or SIGTERM. Returns 0."""
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._end)
        say("video2act: connecting to the robot")
        try:
            while not self._ending:
                self._link.socket.poll(round(_WAIT_S * 1e3))
                for packet in self._link.take():
                    self._heard_s = time.monotonic()
                    self._answer(packet)
                self._pass_back()
                self._keep_asking()
                self._check_process()
        finally:
            self._end_system2()
            self._memory_folder.remove()
        return 0

    def _keep_asking(self) -> None:
        """Say hello until the robot answers; then compare the clocks."""
        asks_s = _HELLO_S if self._settings is None else _PING_S
        if time.monotonic() - self._asked_s < asks_s:
            return
        self._asked_s = time.monotonic()
        if self._settings is None:
            self._link.send(packets.HELLO, stamp(SCHEMA_NUMBER), stamp(self._life))
        else:
            self._link.send(packets.PING, stamp(time.monotonic_ns()))

    def _check_process(self) -> None:
        """Begin again with a robot that went away, or a System 2 that ended."""
        if self._settings is None:
            return
        ended = self._child is not None and self._child.poll() is not None
        gone = time.monotonic() - self._heard_s > _GONE_S
        if ended or gone:
            say(
                "video2act: "
                + ("System 2 ended; restarting it" if ended else "connection to the robot lost; reconnecting")
            )
            self._end_system2()
            self._settings, self._life = None, time.time_ns()
            self._pause_s = min(2 * self._pause_s, _PAUSES_S[1]) if ended else _PAUSES_S[0]
            self._asked_s = time.monotonic() + (
                self._pause_s if ended else 0.0
            )  # one that dies at once is not begun all the time

    def _answer(self, packet: Packet) -> None:
        match packet:
            case (packets.SETTINGS, epoch, settings) if self._settings is None:
                self._epoch, self._settings = number(epoch), self._own(settings)
                self._comparison = Comparison()
                say("video2act: connected to the robot")
            case (packets.PONG, asked, reported):
                self._offset.set(self._comparison.add(number(asked), number(reported), time.monotonic_ns()))
                if self._child is None and self._settings is not None and self._comparison.settled:
                    self._start(self._settings)
            case (packets.FILE, key, data) if key.isalnum():
                path = EmbeddingCache().make_room(key.decode())
                beside = path.with_suffix(".far")
                beside.write_bytes(data)
                beside.rename(path)
            case (packets.MESSAGE, name, payload, *picture) if self._child is not None:
                self._hear(name.decode("ascii", "replace"), payload, picture)
            case _:
                pass  # for a life of System 2 that has not begun or is over

    def _own(self, settings: bytes) -> Settings:
        """The robot's settings, with what was given here."""
        try:
            theirs = settings_from_json(settings.decode())
        except SettingsError as error:
            raise SettingsError(
                f"the robot runs another version ({error}); install the same revision on both"
            ) from None
        local = theirs.system2.model_copy(update={"remote": "", "keys": None})
        changed = {
            "policy": overrides.over(theirs.policy, self._flags.get("policy", {}), "policy"),
            "system2": overrides.over(local, self._flags.get("system2", {}), "system2"),
            "recorder": theirs.recorder.model_copy(update={"enabled": False}),
        }
        return theirs.model_copy(update=changed)

    def _start(self, settings: Settings) -> None:
        """Make the bus that System 2 lives on, with rings for its pictures, and start its process."""
        if settings.policy.checkpoint is not None and not settings.policy.checkpoint.is_dir():
            raise SettingsError(
                f"{settings.policy.checkpoint}: the robot's checkpoint does not exist here; give --policy.checkpoint DIR"
            )
        RunFile(settings=settings_to_json(settings), session=self.folder, revision=revision()).save(self.folder)
        needs = policy_needs(settings)
        cameras = seen_cameras(needs)
        for name in cameras:
            camera = settings.cameras.by_name()[name]
            slots = ring_slots(needs, camera.rate_hz)
            path = self.folder / f"{name}.ring"
            self._rings[name] = FrameRing.create(path, camera.width_px, camera.height_px, slots)
        for name in to_box(cameras):
            bus = Bus(self.folder, topic(name).publishers[0], PROCESSES)
            self._buses.append(bus)
            self._publishers[name] = bus.publisher(name)
        listening = Bus(self.folder, "system2", PROCESSES)
        self._buses.append(listening)
        self._replies = {name: listening.subscriber(name, depth=64) for name in TO_ROBOT}
        listening.include(self._link.socket)
        environment = os.environ | {
            clock.FOLLOWED: str(self.folder / "clock"),
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
        }
        line = [sys.executable, "-m", "runtime.process.base", "system2", str(self.folder), str(self._epoch)]
        self._child = subprocess.Popen(line, stdin=subprocess.DEVNULL, start_new_session=True, env=environment)
        say(f"video2act: starting System 2 (clock uncertainty {self._comparison.uncertain_ns / 1e6:.2f} ms)")

    def _hear(self, name: str, payload: bytes, picture: list[bytes]) -> None:
        """Pass a message on to System 2; a picture goes into its ring before the notice is sent."""
        if name not in self._publishers:
            return
        try:
            message = codec.decode(payload, topic(name).message)
        except WireError as error:
            say(f"video2act: from the robot: {error}")
            return
        if isinstance(message, messages.Frame):
            ring = self._rings.get(message.camera)
            if not picture or ring is None:
                return
            try:
                pixels = simplejpeg.decode_jpeg(picture[0], "RGB")
            except ValueError as error:
                say(f"video2act: frame {message.seq} of the robot cannot be read ({error}); left out")
                return
            ring.write(message.seq, message.capture_ns, pixels, picture[0])
        if isinstance(message, messages.Embedding) and not EmbeddingCache().path(message.key).exists():
            self._link.send(packets.NEED, message.key.encode())
            return  # it is repeated; the next one finds the file
        self._publishers[name].send_raw(payload)

    def _pass_back(self) -> None:
        if self._child is None:
            return
        for name, subscriber in self._replies.items():
            for received in subscriber.take():
                self._link.send(packets.MESSAGE, name.encode(), codec.encode(received.message))

    def _end_system2(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.terminate()
            try:
                child.wait(_END_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for bus in self._buses:
            bus.close()
        self._buses, self._publishers = [], {}

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._ending = True


def main(arguments: list[str]) -> int:
    """Serve one robot, that of the line. Called by runtime/cli.py; returns 0."""
    options, given = SYSTEM2.read(arguments)
    with Link.coming(options.robot, options.keys) as link:
        return GpuSide(link, given).run()
