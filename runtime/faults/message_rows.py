"""Messages as nobody should send them, on the live sockets: hostile chunks in System 1's place, and noise on other topics.
Read by robots.py.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runtime.bench.hostile import Hostile
from runtime.faults.live_robot import LiveRobot
from runtime.faults.row import Row
from runtime.faults.wires import Change, Wire, flood, paced
from runtime.messaging import codec, messages
from runtime.messaging.topics import OPERATOR

_NOISE, _NOISE_HZ = 2000, 1000.0  # messages of noise, and how many a second; chosen
_DISORDERED_S = 4.0  # of disorder until it is counted; chosen: a dozen chunks, three conditions
_LONG_SHARE = 0.05  # of one kind of noise in five; chosen: one message in a hundred is too long
_LARGEST = 1 << 18  # bytes of one; chosen: four times what these topics may carry


@dataclass(frozen=True)
class HostileChunks:
    """Every chunk of System 1 is replaced by one of a kind of runtime/bench/hostile.py, or of a kind of its own."""

    kind: str

    def prepare(self, robot: LiveRobot) -> None:
        """Take over the wire, over which honest chunks go on first."""
        Wire.of(robot, "chunk").change = None

    def begin(self, robot: LiveRobot) -> str:
        hostile = Hostile(0)
        Wire.of(robot, "chunk").change = lambda payload: self._changed(hostile, payload)
        return ""

    def _changed(self, hostile: Hostile, payload: bytes) -> list[bytes]:
        good = codec.decode(payload, messages.ActionChunk)
        assert isinstance(good, messages.ActionChunk)
        match self.kind:
            case "far outside the ranges":
                return [codec.encode(good.model_copy(update={"q": good.q + 9}))]
            case "jumping":
                return [codec.encode(good.model_copy(update={"q": good.q * 0.2}))]
            case kind:
                return [hostile.of(kind, good)]

    def end(self, robot: LiveRobot) -> Mapping[str, float]:
        Wire.of(robot, "chunk").change = None
        return {}


@dataclass(frozen=True)
class Disordered:
    """Behind each message of a topic comes another one that has come before: itself, or its predecessor."""

    topic: str
    behind: Literal["itself", "its predecessor"]

    def prepare(self, robot: LiveRobot) -> None:
        """Take over the wire, over which each message goes on once first."""
        Wire.of(robot, self.topic).change = None

    def begin(self, robot: LiveRobot) -> str:
        before = 0 if robot.state is None else robot.state.chunks_dropped
        Wire.of(robot, self.topic).change = disorder(self.behind)
        robot.pause(_DISORDERED_S)
        dropped = 0 if robot.state is None else robot.state.chunks_dropped - before
        return f"{dropped} {self.topic}s were dropped and counted" if dropped > 0 else ""

    def end(self, robot: LiveRobot) -> Mapping[str, float]:
        Wire.of(robot, self.topic).change = None
        return {}


def disorder(behind: str) -> Change:
    """A change of a wire: a message, and behind it the one itself or the one that came before it."""
    newest: list[bytes] = []

    def change(payload: bytes) -> list[bytes]:
        again = [payload] if behind == "itself" else newest[:]
        newest[:] = [payload]
        return [payload, *again]

    return change


@dataclass(frozen=True)
class Noise:
    """Mutated, oversize and random messages on a topic, from a sender that does not run."""

    topic: str
    sender: str
    good: messages.Message

    def prepare(self, robot: LiveRobot) -> None:
        """Nothing takes time here."""

    def begin(self, robot: LiveRobot) -> str:
        dice = random.Random(0)
        payload = codec.encode(self.good)
        before = robot.lost
        noise = [mutated(payload, dice) for _ in range(_NOISE)]
        if self.sender == OPERATOR:
            paced(robot, noise, _NOISE_HZ, robot.say_raw)
        else:
            flood(robot, self.topic, self.sender, noise, _NOISE_HZ)
        robot.pause(1.0)
        counted = robot.lost - before
        return f"{counted} messages were dropped and counted" if counted else ""

    def end(self, robot: LiveRobot) -> Mapping[str, float]:
        return {}


def mutated(payload: bytes, dice: random.Random) -> bytes:
    """A message with some bits turned, cut, doubled, replaced by noise, or far too long; never the message itself."""
    data = bytearray(payload)
    match dice.randrange(5):
        case 0:
            data = bytearray(dice.randbytes(dice.randrange(1, 200)))
        case 1:
            del data[dice.randrange(len(data)) :]
        case 2:
            data = data + data[: dice.randrange(1, len(data) + 1)]
        case 3 if dice.random() < _LONG_SHARE:
            data = data * (_LARGEST // len(data))
        case _:
            for _ in range(dice.choice((1, 2, 20))):
                data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return bytes(data) if bytes(data) != payload else b"\xc1"


def _hostile(kind: str, says: str, **more: Any) -> Row:
    return Row(f"chunks {kind}", HostileChunks(kind), says, back_s=40.0, **more)


def _disordered(topic: str, behind: Literal["itself", "its predecessor"], name: str, says: str = "") -> Row:
    name = f"{topic.removesuffix('s')}s {name}"
    return Row(
        name, Disordered(topic, behind), says, _DISORDERED_S * 1e3 + 200, reaction="none", lasts_s=2.0, back_s=40.0
    )


_STAMP: dict[str, Any] = {"seq": 0, "epoch": 1, "stamp_ns": 1}
_NO_CHUNK_MS = 800.0  # figure: the age of a chunk's observation (0.6 s), and what a chunk that is refused may add
# Figures are the matrix's; what a fault is made of is chosen.
MESSAGES = (
    _hostile("NaN or infinity", "refused: values not finite", seen_ms=400, held_ms=400),
    _hostile("wrong shape", "refused: values not finite", seen_ms=400, held_ms=400),
    _hostile("far outside the ranges", "outside its range", seen_ms=400, held_ms=400),
    _hostile("jumping", "starts", seen_ms=_NO_CHUNK_MS, held_ms=_NO_CHUNK_MS),
    _hostile("expired", "chunk is", seen_ms=_NO_CHUNK_MS, held_ms=_NO_CHUNK_MS),
    _disordered("chunk", "itself", "twice", "dropped and counted"),
    _disordered("chunk", "its predecessor", "out of order", "dropped and counted"),
    _disordered("conditions", "itself", "twice"),
    _disordered("conditions", "its predecessor", "out of order"),
    _hostile("damaged bytes", "refused: values not finite", seen_ms=1500, held_ms=1500),
    Row(
        "noise among commands",
        Noise("operator_command", OPERATOR, messages.OperatorCommand(**_STAMP, command="run", source="noise")),
        "dropped and counted", seen_ms=6000, reaction="none", kept=("arms", "recorder"),
    ),
    Row(
        "noise among faults",
        Noise("fault", "leader_left", messages.Fault(**_STAMP, process="leader_left", name="noise", text="noise")),
        "dropped and counted", seen_ms=6000, reaction="none", kept=("arms", "recorder"),
    ),
    Row(
        "noise among heartbeats",
        Noise("heartbeat", "leader_left", messages.Heartbeat(**_STAMP, process="leader_left", pid=1, steps=1, last_step_ns=1)),
        "dropped and counted", seen_ms=6000, reaction="none", kept=("arms", "recorder"),
    ),
)  # fmt: skip
