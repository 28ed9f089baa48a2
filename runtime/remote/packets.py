"""What passes between the robot and a GPU box: a packet is its kind, then one to three parts.
Used by robot_side.py, gpu_side.py and link.py.
"""

from collections.abc import Sequence

from models.requirements import Requirements

HELLO = b"hello"  # box: the schema it speaks, and a number of this life of it
SETTINGS = b"settings"  # robot: the epoch of System 2's next life, and the settings (JSON)
PING = b"ping"  # box: its time
PONG = b"pong"  # robot: that time, and its own
NEED = b"need"  # box: the key of an encoded instruction
FILE = b"file"  # robot: the key, and the file
MESSAGE = b"message"  # either: topic, message, and of a frame its JPEG
TO_ROBOT = ("conditions", "imagined", "snapshot", "fault")
"""Topics that System 2 publishes."""
_STATES = ("chunk", "skip", "episode", "instruction", "embedding")


def to_box(cameras: Sequence[str]) -> tuple[str, ...]:
    """Topics that System 2 reads when it sees these cameras."""
    return (*(f"frame.{camera}" for camera in cameras), *_STATES)


def seen_cameras(needs: Requirements) -> tuple[str, ...]:
    """The cameras that a policy's System 2 looks at."""
    return tuple(dict.fromkeys(window.camera for window in needs.windows))


def stamp(value: int) -> bytes:
    """A number as part of a packet: eight bytes, signed."""
    return value.to_bytes(8, "big", signed=True)


def number(part: bytes) -> int:
    """The number that `stamp` wrote."""
    return int.from_bytes(part, "big", signed=True)
