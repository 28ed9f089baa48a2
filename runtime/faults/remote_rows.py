"""Faults of a System 2 on a GPU box and of the link to it. Read by robots.py."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import zmq
import zmq.auth

from runtime.faults.gpu_box import GpuBox
from runtime.faults.live_robot import LiveRobot
from runtime.faults.row import Injection, Row
from runtime.remote.packets import HELLO, PING, stamp

_AGE_MS = 4500.0
"""Figure: the greatest age of conditions (4 s), from the newest one on, and what a reason takes."""
_GONE = "GPU box silent for"
_GONE_MS = 300.0  # figure of the matrix; the arms go by the age of conditions anyway
_BACK_S = (
    60.0  # figure: until the link is open again and System 2 has loaded on the box, on two cores that the robot shares
)
_LONG_S = 0.6  # round trip of a long link; chosen: a network across an ocean with a bad radio
_HELLOS = 200  # of a stranger; chosen
_KEPT = ("system1", "system2", "cameras", "arms", "recorder")


@dataclass(frozen=True)
class Linked:
    """The link to the box is cut, falls silent or grows long."""

    how: Literal["cut", "silent", "long"]

    def prepare(self, robot: LiveRobot) -> None:
        """Nothing takes time here."""

    def begin(self, robot: LiveRobot) -> str:
        link = GpuBox.of(robot).link
        match self.how:
            case "cut":
                link.cut()
            case "silent":
                link.silence()
            case "long":
                link.lengthen(_LONG_S)
        return ""

    def end(self, robot: LiveRobot) -> Mapping[str, float]:
        link = GpuBox.of(robot).link
        link.lengthen(0.0)
        link.restore()
        return {}


@dataclass(frozen=True)
class KilledBox:
    """The box loses its power; it comes back at the end."""

    def prepare(self, robot: LiveRobot) -> None:
        """Nothing takes time here."""

    def begin(self, robot: LiveRobot) -> str:
        GpuBox.of(robot).kill()
        return ""

    def end(self, robot: LiveRobot) -> Mapping[str, float]:
        GpuBox.of(robot).start()
        return {}


@dataclass(frozen=True)
class Stranger:
    """Somebody with other keys, and somebody with none, say that they are the box."""

    def prepare(self, robot: LiveRobot) -> None:
        """Nothing takes time here."""

    def begin(self, robot: LiveRobot) -> str:
        return ""

    def end(self, robot: LiveRobot) -> Mapping[str, float]:
        box = GpuBox.of(robot)
        return {"answers": sum(answers(robot, box, with_keys) for with_keys in (True, False))}


def answers(robot: LiveRobot, box: GpuBox, with_keys: bool) -> int:
    """Say hello and ask for the time again and again. Returns how often the robot answered."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    stranger = context.socket(zmq.DEALER)
    stranger.setsockopt(zmq.LINGER, 0)
    if with_keys:
        stranger.curve_publickey, stranger.curve_secretkey = zmq.curve_keypair()
        stranger.curve_serverkey = zmq.auth.load_certificate(box.keys / "robot.key")[0]
    answers = 0
    try:
        stranger.connect(f"tcp://127.0.0.1:{box.port}")
        for _ in range(_HELLOS):
            for packet in ((HELLO, stamp(1), stamp(1)), (PING, stamp(1))):
                with suppress(zmq.Again):  # nobody takes it
                    stranger.send_multipart(packet, zmq.NOBLOCK)
            robot.pause(0.01)
            answers += bool(stranger.poll(0))
    finally:
        stranger.close()
        context.term()
    return answers


def _gone(name: str, fault: Injection) -> Row:
    return Row(name, fault, _GONE, _GONE_MS, "conditions are", held_ms=_AGE_MS, back_s=_BACK_S, kept=_KEPT)


# Figures are the matrix's; what a fault is made of is chosen.
REMOTE = (
    Row("System 2's link slow", Linked("long"), "", reaction="none", lasts_s=6.0, kept=_KEPT),
    Row(
        "strangers at System 2's port", Stranger(), "", reaction="none", lasts_s=1.0, kept=_KEPT, most={"answers": 0},
        back_s=_BACK_S,
    ),
    _gone("System 2's link cut", Linked("cut")),
    _gone("System 2's link silent", Linked("silent")),
    _gone("GPU box killed", KilledBox()),
)  # fmt: skip
