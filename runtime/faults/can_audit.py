"""Whether an emulated arm heard what the safety layer sent, byte for byte: a session's targets against the frames at the far
end of the bus, which the emulator writes down when a run ends.
Called by matrix.py for every run of emulated arms.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from drivers import piper_frames
from drivers.cobot_magic import SIDES
from runtime.devices import can_log
from runtime.errors import SessionError
from runtime.messaging import messages
from runtime.session import reader

_ARM = 7  # joints of an arm with its gripper


class Sent(Protocol):
    """A target as `arms` sent it: when, and its joints (14,), rad and m."""

    @property
    def stamp_ns(self) -> int: ...

    @property
    def q(self) -> Any: ...


@dataclass(frozen=True)
class Comparison:
    """What became of one arm's targets on their way over the bus, counted."""

    sent: int  # by the safety layer
    heard: int  # whole targets at the emulator while it sent
    equal: int  # of those: the very bytes of a target that was sent, in order
    steps: int  # heard, but no target: of a stop where a target came late, or of the way back (runtime/arms/target_stream.py)
    skipped: int  # sent, and not heard as it was
    switching_on: int  # where the arm was, repeated while its motors were switched on


def compare(session: Path) -> dict[str, Any]:
    """Compare one session's targets with what its emulated arms heard.

    Returns:
        By side, the figures of `Comparison`.

    Raises:
        SessionError: The session has no record of an emulated bus.
    """
    targets = [m for _, m, _ in reader.decode_all(reader.read(session)) if isinstance(m, messages.ArmTarget) and m.sent]
    targets.sort(key=lambda target: (target.epoch, target.seq))
    return compare_sent(session, targets)


def compare_sent(session: Path, targets: Sequence[Sent]) -> dict[str, Any]:
    """The same with targets that somebody else has listened to, in order."""
    return {side: asdict(_compare(session, side, place, targets)) for place, side in enumerate(SIDES)}


def _compare(session: Path, side: str, place: int, targets: Sequence[Sent]) -> Comparison:
    path = can_log.path_of(session, side)
    if not path.exists():
        raise SessionError(f"{session}: holds no record of an emulated bus; give a run with --can")
    with np.load(path) as record:
        heard = list(zip(record["at_ns"].tolist(), map(bytes, record["joints"]), strict=True))
    began_ns = targets[0].stamp_ns if targets else 0
    running = [joints for at_ns, joints in heard if at_ns >= began_ns]
    sent = [_bytes(target.q[_ARM * place : _ARM * place + 6]) for target in targets]
    places: dict[bytes, list[int]] = {}
    for number, joints in enumerate(sent):
        places.setdefault(joints, []).append(number)
    equal, at = 0, 0
    for joints in running:
        here = places.get(joints, [])
        if (found := bisect_left(here, at)) < len(here):
            equal, at = equal + 1, here[found] + 1
    return Comparison(
        len(sent), len(running), equal, len(running) - equal, len(sent) - equal, len(heard) - len(running)
    )


def _bytes(q: Any) -> bytes:
    return b"".join(data for _, data in piper_frames.joints(q, piper_frames.Id.JOINT_COMMAND))
