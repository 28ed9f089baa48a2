"""Messages of 200 Hz without pydantic's checks: as their own maker builds them, and as the recorder reads them.
Called by the arms' step and process, and by the recorder's subscribers (bus.py).

Whoever acts on a message decodes it with all checks (codec.py), and so does everybody who opens a session. Here a message is
built from what was just computed, or its bytes are kept as they are and only its type and arrays are checked.
"""

from typing import Any, TypeVar

from runtime.errors import WireError
from runtime.messaging import codec, messages
from runtime.messaging.messages import Message
from runtime.messaging.upgrades import SCHEMA_NUMBER

Kind = TypeVar("Kind", bound=Message)
FLAT = (messages.JointState, messages.ArmTarget)
"""What the arms say at every tick, without messages inside."""
_defaults: dict[type[Message], dict[str, Any]] = {}
_names: dict[type[Message], set[str]] = {}


def made(kind: type[Kind], fields: dict[str, Any]) -> Kind:
    """A message of these fields, unchecked; it takes a third of the time of the checked constructor.

    Args:
        kind: Its type.
        fields: All that have no default, and no other names than the type's.
    """
    return _of(kind, (_defaults.get(kind) or _remember(kind)) | fields)


def read(payload: bytes | memoryview, kind: type[Kind]) -> Kind:
    """A flat message in a payload: its type, schema, names and arrays are checked, no other values are.

    Args:
        payload: One msgpack map.
        kind: A type of FLAT.

    Raises:
        WireError: Another type or schema, other fields, or an array of another dtype or shape, or with NaN.
    """
    body = codec.unpack(payload)
    if body.pop("type", None) != kind.__name__ or body.pop("schema", None) != SCHEMA_NUMBER:
        raise WireError(f"not a {kind.__name__} of schema {SCHEMA_NUMBER}")
    names = _defaults.get(kind) or _remember(kind)
    if body.keys() != names.keys():
        raise WireError(f"{kind.__name__}: unexpected fields {', '.join(map(str, body))[:200]}")
    try:
        for name, field in kind.tensors.items():
            body[name] = field.check(body[name])
    except ValueError as error:
        raise WireError(f"{kind.__name__}: {error}") from None
    return _of(kind, body)


def _of(kind: type[Kind], values: dict[str, Any]) -> Kind:
    message = kind.__new__(kind)
    object.__setattr__(message, "__dict__", values)
    object.__setattr__(message, "__pydantic_fields_set__", _names[kind])
    object.__setattr__(message, "__pydantic_extra__", None)
    object.__setattr__(message, "__pydantic_private__", None)
    return message


def _remember(kind: type[Message]) -> dict[str, Any]:
    """The names of a type's fields in the order in which they are encoded, with their defaults; kept for the next call."""
    fields = kind.model_fields.items()
    _defaults[kind] = {name: field.get_default(call_default_factory=True) for name, field in fields}
    _names[kind] = set(_defaults[kind])
    return _defaults[kind]
