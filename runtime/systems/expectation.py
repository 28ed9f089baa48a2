"""What System 2 expects to see, as a message for people, and how that of before compares with what is seen now. Deterministic.
Called by system2.py, and by the replay.
"""

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from runtime.host.clock import seconds
from runtime.messaging import messages
from runtime.messaging.topics import references
from runtime.policy.protocols import Expected

_QUALITY = 90  # of the JPEGs; chosen: pictures of 64 px in some 2 KB
_WHITE = 255  # of uint8


def imagined(
    conditions: messages.Conditions, expected: Expected, before: messages.Imagined | None, epoch: int, now_ns: int
) -> messages.Imagined:
    """The message.

    Args:
        conditions: With which the policy imagined it.
        expected: What it expects to see.
        before: The message before this one; None: there was none in this life of System 2.
        epoch: Of System 2.
        now_ns: CLOCK_MONOTONIC.

    Returns:
        A message of the conditions' number. Its errors compare the one before, of the same episode and instruction, with
        what was seen for this one; NEVER_COMPARED where that lies beyond what was imagined.
    """
    seen = _jpeg(expected.seen)
    compared = before is not None and (before.episode, before.instruction) == (
        conditions.episode,
        conditions.instruction,
    )
    error, still = _errors(before, seen, conditions.capture_ns) if before is not None and compared else _NOTHING
    return messages.Imagined(
        seq=conditions.seq,
        epoch=epoch,
        stamp_ns=now_ns,
        episode=conditions.episode,
        inputs=references(conditions, before),
        instruction=conditions.instruction,
        camera=expected.camera,
        capture_ns=conditions.capture_ns,
        apart_ns=seconds(expected.apart_s),
        seen=seen,
        pictures=tuple(map(_jpeg, expected.pictures)),
        error=error,
        still_error=still,
    )


_NOTHING = (messages.NEVER_COMPARED, messages.NEVER_COMPARED)


def due(message: messages.Imagined, now_ns: int) -> int | None:
    """Which of the imagined pictures shows a moment; None: it lies before the first or beyond the last, by half a step."""
    if message.apart_ns == 0:
        return None
    place = round((now_ns - message.capture_ns) / message.apart_ns) - 1
    return place if 0 <= place < len(message.pictures) else None


def _errors(before: messages.Imagined, seen: bytes, capture_ns: int) -> tuple[float, float]:
    """Mean distance of what was seen from what had been imagined, and from the picture before; of white from black 1."""
    place = due(before, capture_ns)
    now, then = _pixels(seen), _pixels(before.seen)
    if place is None or now.shape != then.shape:
        return _NOTHING
    return _apart(_pixels(before.pictures[place]), now), _apart(then, now)


def _apart(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(one - other).mean() / _WHITE)


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    return simplejpeg.encode_jpeg(np.ascontiguousarray(picture), _QUALITY)


def _pixels(jpeg: bytes) -> NDArray[np.float32]:
    return simplejpeg.decode_jpeg(jpeg).astype(np.float32)
