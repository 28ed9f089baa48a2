"""What is built and read without checks is what the checks let pass, byte for byte. Called by pytest."""

from typing import Any

import msgpack
import numpy as np
import pytest

from runtime.errors import WireError
from runtime.messaging import codec, messages, unchecked

STAMPS: dict[str, Any] = {"seq": 3, "epoch": 1, "stamp_ns": 5}
JOINTS = np.linspace(-1, 1, messages.JOINTS)
FIELDS: dict[type[messages.Message], dict[str, Any]] = {
    messages.JointState: STAMPS | {
        "episode": 2, "q": JOINTS, "dq": 2 * JOINTS, "effort": 0 * JOINTS, "number": (4, 5), "measured_ns": (7, 8),
        "warning": ("", "hot"), "chunk_epoch": 1, "chunk_seq": 9, "consumed": 0, "running": True,
    },
    messages.ArmTarget: STAMPS | {
        "episode": 2, "inputs": (("joint_state", 1, 3),), "deadline_ns": 4, "mode": "RUNNING", "blended": JOINTS,
        "q": JOINTS, "sent": True, "limited": False, "seam_jump_rad_s": -1.0, "refused": 0,
    },
}  # fmt: skip


def packed(body: dict[str, Any]) -> bytes:
    payload = msgpack.packb(body)
    assert payload is not None
    return payload


@pytest.mark.parametrize("kind", unchecked.FLAT)
def test_it_is_what_the_checked_constructor_makes(kind: type[messages.Message]) -> None:
    made, checked = unchecked.made(kind, FIELDS[kind]), kind(**FIELDS[kind])
    assert codec.encode(made) == codec.encode(checked)
    assert made.model_copy(update={"seq": 4}).seq == 4 and repr(made) == repr(checked)


@pytest.mark.parametrize("kind", unchecked.FLAT)
def test_it_is_read_as_it_was_sent(kind: type[messages.Message]) -> None:
    payload = codec.encode(kind(**FIELDS[kind]))
    assert codec.encode(unchecked.read(payload, kind)) == payload


@pytest.mark.parametrize("kind", unchecked.FLAT)
@pytest.mark.parametrize("change", [
    {"type": "Fault"}, {"schema": 99}, {"schema": True, "type": 1}, {"more": 1}, {"q": 5}, {"q": {"dtype": "float64"}},
    {"q": {"dtype": "float64", "shape": (14,), "data": b"short"}},
])  # fmt: skip
def test_what_is_not_that_message_is_refused(kind: type[messages.Message], change: dict[str, Any]) -> None:
    body = codec.unpack(codec.encode(kind(**FIELDS[kind]))) | change
    with pytest.raises(WireError):
        unchecked.read(packed(body), kind)


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x01", msgpack.packb({"type": "JointState"})])
def test_garbage_is_refused(payload: bytes) -> None:
    with pytest.raises(WireError):
        unchecked.read(payload, messages.JointState)
