"""Mutated packets into the live sockets of a running robot: no process may exit, and each packet is counted.
Called by command.py for --packets.
"""

import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from runtime.errors import RuntimeFault, WireError
from runtime.faults.live_robot import LiveRobot
from runtime.faults.message_rows import mutated
from runtime.faults.wires import flood, paced
from runtime.host.progress import bar
from runtime.messaging import codec, messages
from runtime.messaging.topics import OPERATOR

_RUNNING_S, _SETTLE_S = 180.0, 2.0  # longest wait for RUNNING; from the last packet to the last count; chosen
_RATE_HZ = 2000.0  # of packets; chosen: ten times the quickest topic's messages
_NOBODY = "leader_left"  # a sender that does not run without leaders
FLAGS = ("--profile", "sim", "--console.port", "0")
_STAMP: dict[str, Any] = {"seq": 0, "epoch": 1, "stamp_ns": 1}
GOOD: tuple[tuple[str, str, messages.Message], ...] = (
    ("operator_command", OPERATOR, messages.OperatorCommand(**_STAMP, command="hold", source="packets")),
    ("fault", _NOBODY, messages.Fault(**_STAMP, process=_NOBODY, name="noise", text="noise")),
    ("heartbeat", _NOBODY, messages.Heartbeat(**_STAMP, process=_NOBODY, pid=1, steps=1, last_step_ns=1)),
)
"""What is mutated: topics on which somebody may speak who does not run, and one of their messages."""


def run(count: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Send `count` mutated packets. `kept`: no process ended, and at least as many were counted as nobody could read."""
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="video2act-faults-") as name:
        robot = LiveRobot(Path(name), FLAGS)
        try:
            if not robot.wait(lambda: robot.mode == "RUNNING", _RUNNING_S):
                raise RuntimeFault(
                    f"the robot is not RUNNING within {_RUNNING_S:.0f} s; run ./launch/robot.sh to see why"
                )
            robot.pause(_SETTLE_S)
            restarts = robot.restarts
            with bar(count, "packets", "packet") as shown:
                for topic, sender, good in GOOD:
                    rows[topic] = _send(robot, topic, sender, good, count // len(GOOD), shown.update)
                    say(f"  {topic:<18} " + ", ".join(f"{what} {number}" for what, number in rows[topic].items()))
            again = [name for name, times in robot.restarts.items() if times > restarts.get(name, 0)]
            alive, runs = robot.alive, robot.run_again(_RUNNING_S)
        finally:
            robot.end()
    uncounted = [topic for topic, row in rows.items() if row["counted"] < row["unreadable"]]
    for topic in uncounted:
        say(
            f"missed: {topic}: {rows[topic]['unreadable']} packets were unreadable, {rows[topic]['counted']} were counted"
        )
    kept = alive and runs and not again and not uncounted
    say(f"processes that ended: {', '.join(again) or 'none'}; RUNNING afterwards: {'yes' if runs else 'no'}")
    return {"rows": rows, "ended": again, "runs": runs, "kept": kept}


def _send(
    robot: LiveRobot, topic: str, sender: str, good: messages.Message, count: int, passed: Callable[[int], object]
) -> dict[str, int]:
    """Packets of one topic: how many were sent, could not be read, and were counted by all who listen together."""
    dice, payload, found = random.Random(0), codec.encode(good), {"sent": 0, "unreadable": 0}

    def made() -> Iterator[bytes]:
        for _ in range(count):
            packet = mutated(payload, dice)
            found["sent"] += 1
            found["unreadable"] += not readable(packet, type(good))
            passed(1)
            yield packet

    before = robot.lost
    if sender == OPERATOR:
        paced(robot, made(), _RATE_HZ, robot.say_raw)
    else:
        flood(robot, topic, sender, made(), _RATE_HZ)
    robot.pause(_SETTLE_S)
    return found | {"counted": robot.lost - before}


def readable(packet: bytes, kind: type[messages.Message]) -> bool:
    """Whether a packet is still a message of its topic, by the codec of all processes."""
    try:
        codec.decode(packet, kind)
    except WireError:
        return False
    return True
