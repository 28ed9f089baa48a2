"""On the robot, in System 2's place: hands a GPU box what System 2 reads, and publishes what it answers.
Started by the supervisor (runtime/process/base.py) where `system2.remote` is set.

When the box is gone, System 1 works on with the newest condition until that is too old; then the arms hold.
"""

from runtime.config.loading import public_settings_json
from runtime.config.policy import policy_needs
from runtime.errors import WireError
from runtime.host.clock import robot_time_ns, seconds
from runtime.messaging import codec, messages
from runtime.messaging.frame_ring import FrameRing
from runtime.messaging.topics import topic
from runtime.messaging.upgrades import SCHEMA_NUMBER
from runtime.policy.embedding_cache import EmbeddingCache
from runtime.process.base import Process, log
from runtime.remote import packets
from runtime.remote.link import Link, Packet
from runtime.remote.packets import TO_ROBOT, number, seen_cameras, stamp, to_box

_WAIT_S = 0.02  # longest wait for a message; as runtime/systems/system2.py
_SILENT_S = 0.25
"""Then the box counts as gone. Chosen: five questions for the time are missing, and with a loop of this process it is said
within 300 ms."""
_LIVES = 1000  # of System 2 on the box, within one life of this process; its epochs must grow


def main(process: Process) -> None:
    """Carry messages both ways until asked to end."""
    keys = process.settings.system2.keys
    assert keys is not None
    cameras = seen_cameras(policy_needs(process.settings))
    readers = {name: process.bus.subscriber(name) for name in to_box(cameras)}
    with Link.waiting(process.settings.system2.remote, keys) as link:
        side = RobotSide(process, link)
        process.bus.include(link.socket)
        process.settle(process.settings.system2.nice)
        log.info("waiting for system2.sh at %s", process.settings.system2.remote)
        while process.running:
            process.bus.wait(_WAIT_S)
            for packet in link.take():
                side.answer(packet)
            for name, reader in readers.items():
                for received in reader.take():
                    side.hand_over(name, received.message)
            side.check_link()
            process.stepped()


class RobotSide:
    """What is known of the machine at the other end, and what it was sent."""

    def __init__(self, process: Process, link: Link) -> None:
        self._process, self._link = process, link
        self._publishers = {
            name: process.publisher(name) for name in TO_ROBOT if name != "fault"
        }  # the process has that
        self._rings: dict[str, FrameRing] = {}
        self._comings, self._life, self._heard_ns, self._lost = 0, 0, 0, True
        self._dropped = 0

    def hand_over(self, name: str, message: messages.Message) -> None:
        """Send a message to System 2, with its picture if it tells of one."""
        if self._link.peer is None:
            return
        picture: tuple[bytes, ...] = ()
        if isinstance(message, messages.Frame):
            if message.camera not in self._rings:
                self._rings[message.camera] = FrameRing.attach(self._process.folder / f"{message.camera}.ring")
            picture = (self._rings[message.camera].read_jpeg(message.seq) or b"",)
        self._link.send(packets.MESSAGE, name.encode(), codec.encode(message), *picture)

    def answer(self, packet: Packet) -> None:
        """Act on a packet of the box: a hello, a question for the time, a need for a file, or a message."""
        self._heard_ns = robot_time_ns()
        match packet:
            case (packets.HELLO, schema, life):
                self._welcome(number(schema), number(life))
            case (packets.PING, asked):
                self._link.send(packets.PONG, asked, stamp(robot_time_ns()))
            case (packets.NEED, key) if key.isalnum():  # a name, no way out of the folder
                path = EmbeddingCache().path(key.decode())
                if path.is_file():
                    self._link.send(packets.FILE, key, path.read_bytes())
            case (packets.MESSAGE, name, payload):
                self._publish(name.decode("ascii", "replace"), payload)
            case _:
                log.warning("ignored an unknown packet of %d parts; install the same revision on both", len(packet))

    def check_link(self) -> None:
        """Say when the box is gone, once, and when it is back; and when the line is too slow for what there is to send."""
        lost = robot_time_ns() - self._heard_ns > seconds(_SILENT_S)
        if lost and not self._lost:
            text = (
                f"GPU box silent for {_SILENT_S * 1e3:.0f} ms; check that system2.sh runs there, and the network cable"
            )
            self._process.fault("link", text)
        elif self._lost and not lost:
            log.info("connected to the GPU box")
        if self._link.dropped > self._dropped and not lost:
            text = "network to the GPU box is too slow: %d packets dropped so far; %s"
            log.warning(text, self._link.dropped, "use a wired network, or lower --cameras.NAME.rate_hz")
        self._lost, self._dropped = lost, self._link.dropped

    def _welcome(self, schema: int, life: int) -> None:
        """Answer a hello with the settings and the epoch of System 2's life there; a hello may come several times."""
        if schema != SCHEMA_NUMBER:
            text = f"GPU box: expected schema {SCHEMA_NUMBER}, got {schema}; install the same revision on both"
            self._process.fault("link", text)
            return
        self._comings += life != self._life
        self._life = life
        epoch = self._process.epoch * _LIVES + self._comings
        self._link.send(packets.SETTINGS, stamp(epoch), public_settings_json(self._process.settings).encode())

    def _publish(self, name: str, payload: bytes) -> None:
        """Publish conditions and snapshots as they are; they are decoded once here, so that nothing else comes onto the bus."""
        publisher = self._publishers.get(name)
        try:
            message = codec.decode(payload, topic(name).message if name in TO_ROBOT else None)
        except WireError as error:
            log.warning("from the GPU box: %s", error)
            return
        if isinstance(message, messages.Fault):
            self._process.fault(message.name, f"on the GPU box: {message.text}")
        elif publisher is not None:
            publisher.send_raw(payload)
