"""Saving a step's state into the session and restoring it, so that a replay can start anywhere. msgpack, no pickle.
Called by arms, both systems and the tracker after an output, and by the replay.

A state is a dataclass of numbers, texts, tuples, arrays, messages and other dataclasses of the runtime.
"""

import dataclasses
from typing import Any

import msgpack
import numpy as np

from runtime.errors import SessionError
from runtime.host.clock import robot_time_ns
from runtime.messaging import codec, messages
from runtime.messaging.publisher import Publisher
from runtime.process.base import Process

EVERY_NS = 10_000_000_000
"""0.1 Hz, as runtime/messaging/topics.py says of the topic; chosen: a replay starts within so much."""
_KIND = "~"


class Snapshots:
    """Publishes a process's state after one of its outputs, every ten seconds."""

    def __init__(self, process: Process) -> None:
        self._process, self._taken_ns = process, robot_time_ns()
        self._publisher: Publisher = process.publisher("snapshot")

    def keep(self, after_seq: int, state: Any) -> None:
        """Publish `state` as it is after output number `after_seq`; does nothing while the last snapshot is fresh."""
        now_ns = robot_time_ns()
        if now_ns - self._taken_ns > EVERY_NS:
            self._taken_ns = now_ns
            self._publisher.send(take(self._process.name, after_seq, state, self._process.epoch, now_ns))


def take(process: str, after_seq: int, state: Any, epoch: int, now_ns: int) -> messages.Snapshot:
    """The state of `process` after its output number `after_seq`, as a message."""
    return messages.Snapshot(
        seq=after_seq, epoch=epoch, stamp_ns=now_ns, process=process, after_seq=after_seq, state=pack(state)
    )


def pack(state: Any) -> bytes:
    """Encode a state as msgpack, each dataclass with its class's name. Raises TypeError for what it may not hold."""
    return msgpack.packb(_to_plain(state)) or b""


def unpack(state: bytes, classes: tuple[type, ...]) -> Any:
    """The state that `pack` was given.

    Args:
        state: Its bytes.
        classes: The dataclasses that may occur; nothing else is made.

    Raises:
        SessionError: It holds anything else, or was written by another version.
    """
    known = {cls.__name__: cls for cls in classes}
    try:
        return _from_plain(msgpack.unpackb(state, use_list=False, strict_map_key=True), known)
    except (KeyError, ValueError, TypeError, msgpack.UnpackException) as error:
        raise SessionError(f"snapshot cannot be restored ({error}): another version wrote it; use that one") from None


def _to_plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {_KIND: "array", "dtype": value.dtype.str, "shape": value.shape, "data": value.tobytes()}
    if isinstance(value, messages.Message):
        return {_KIND: "message", "data": codec.encode(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        body = {field.name: _to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {_KIND: type(value).__name__, **body}
    if isinstance(value, tuple):
        return tuple(_to_plain(item) for item in value)
    return value


def _from_plain(value: Any, known: dict[str, type]) -> Any:
    if isinstance(value, tuple):
        return tuple(_from_plain(item, known) for item in value)
    if not isinstance(value, dict):
        return value
    kind = value[_KIND]
    if kind == "array":
        return np.frombuffer(value["data"], np.dtype(value["dtype"])).reshape(value["shape"]).copy()
    if kind == "message":
        return codec.decode_recorded(value["data"])[0]
    return known[kind](**{name: _from_plain(inner, known) for name, inner in value.items() if name != _KIND})
