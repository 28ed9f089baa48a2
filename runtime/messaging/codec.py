"""The one codec for messages: bytes of a message, and a message of bytes with all checks.
Used by every process; the bus decodes, the session reader and replay decode what was recorded.

A message is one msgpack map: `type`, `schema` and the fields. Decoding is strict: an unknown field, a wrong type, shape
or dtype, NaN or infinity raises WireError, which the bus counts.
"""

import threading
from typing import Any

import msgpack
from pydantic import BaseModel, ValidationError

from models import refusal
from runtime.errors import WireError
from runtime.messaging.messages import MESSAGES, Message
from runtime.messaging.upgrades import SCHEMA_NUMBER, upgraded

_local: Any = threading.local()
_REMEDY = "send it from the same version of video2act"


def encode(message: Message) -> bytes:
    """Encode a message as one msgpack map.

    Args:
        message: Of any type in MESSAGES; its values are not checked again.

    Returns:
        Its bytes: arrays as maps of dtype, shape and little-endian data.
    """
    body: dict[str, Any] = {"type": type(message).__name__, "schema": SCHEMA_NUMBER}
    tensors, nested = message.tensors, message.nested
    for name, value in message.__dict__.items():
        if name in tensors:
            body[name] = tensors[name].to_map(value)
        else:
            body[name] = _plain(value) if name in nested else value
    if not hasattr(_local, "packer"):  # kept: a new one would fetch a fresh megabyte from the kernel for each message
        _local.packer = msgpack.Packer()
    return _local.packer.pack(body)


def decode(payload: bytes | memoryview, expected: type[Message] | None = None) -> Message:
    """The message in a payload, with all checks.

    Args:
        payload: One msgpack map. Arrays of the message point into a copy, not into it.
        expected: The only type that is taken; None: any known one.

    Raises:
        WireError: It is not exactly one message of this schema: type, schema, fields, dtypes, shapes, finite values.
    """
    return _validated(unpack(payload), expected)


def decode_recorded(payload: bytes) -> tuple[Message, bytes]:
    """A session's message, which a former schema may have written.

    Args:
        payload: As it was recorded.

    Returns:
        The message, and its payload in the present schema: the very bytes where that is the one it was written in.

    Raises:
        WireError: It is no message of any known schema.
    """
    body = unpack(payload)
    present = upgraded(body)
    message = _validated(present, None)
    return message, payload if present is body else encode(message)


def _validated(body: dict[str, Any], expected: type[Message] | None) -> Message:
    kind = MESSAGES.get(str(body.pop("type", None)))
    if kind is None or (expected is not None and kind is not expected):
        raise WireError(f"not a {expected.__name__ if expected else 'known message'}")
    schema = body.pop("schema", None)
    if type(schema) is not int or schema != SCHEMA_NUMBER:
        raise WireError(f"{kind.__name__}: expected schema {SCHEMA_NUMBER}, got {schema!r:.20}; {_REMEDY}")
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        said = refusal.line(
            error, kind, body, lambda field: f"{kind.__name__}.{refusal.place_of(field)}", in_json=True, what="field"
        )
        raise WireError(f"{said}; {_REMEDY}") from None


def unpack(payload: bytes | memoryview) -> dict[str, Any]:
    """The raw map of a payload; its fields are not checked.

    Raises:
        WireError: It is no msgpack map with text keys.
    """
    try:
        body = msgpack.unpackb(payload, use_list=False, strict_map_key=True)
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise WireError(f"not msgpack: {type(error).__name__}") from None
    if not isinstance(body, dict):
        raise WireError("not a map")
    return body


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {name: _plain(inner) for name, inner in value.__dict__.items()}
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, tuple):
        return tuple(_plain(inner) for inner in value)  # pyright: ignore[reportUnknownVariableType]
    return value
