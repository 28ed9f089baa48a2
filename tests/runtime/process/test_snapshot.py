"""Saving and restoring a step's memory: everything comes back, and what is foreign is refused in one line.

The restored memory of `arms` going on identically is tested with the arms.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import pytest

from runtime.arms.trajectory import Motion, Piece, Trajectory
from runtime.errors import RuntimeFault, SessionError
from runtime.messaging import codec, messages
from runtime.process import snapshot
from runtime.systems.system1_state import System1State
from runtime.systems.system2_state import System2State

Build = Callable[..., Any]


@dataclass
class Stranger:
    """A class that the reader does not know."""

    a: int = 1


def test_system1s_memory_comes_back() -> None:
    q = np.random.default_rng(0).normal(size=(64, 14))
    state = System1State(run=3, skips=2, condition_durations_ns=(1, 2), previous_t0_ns=9, previous_q=q, previous_seq=2)
    made = snapshot.unpack(snapshot.pack(state), (System1State,))
    np.testing.assert_array_equal(made.previous_q, q)
    assert (made.run, made.skips, made.condition_durations_ns, made.previous_seq) == (3, 2, (1, 2), 2)
    assert snapshot.pack(made) == snapshot.pack(state)


def test_system2s_memory_comes_back() -> None:
    state = System2State(run=8, system1_epoch=2, episode=1, instruction=1, capture_ns=1 << 50, published=4)
    assert snapshot.unpack(snapshot.pack(state), (System2State,)) == state


def test_nested_trajectories_come_back_writable() -> None:
    points = np.arange(6.0).reshape(3, 2)
    piece = Piece(1, 2, points, points * 2, 3, np.zeros((3, 2)), 0.5)
    made = snapshot.unpack(snapshot.pack(Trajectory((piece, piece))), (Trajectory, Piece))
    np.testing.assert_array_equal(made.pieces[1].points, points)
    made.pieces[0].points[0, 0] = 9.0


def test_messages_inside_a_memory_come_back(build: Build) -> None:
    health = build(messages.CameraHealth)
    made = snapshot.unpack(snapshot.pack((health, None, "text", 1.5)), ())
    assert made == (health, None, "text", 1.5)


def test_a_snapshot_is_a_message_that_names_its_output() -> None:
    made = snapshot.take("system2", 7, System2State(published=8), 2, 99)
    assert (made.process, made.after_seq, made.epoch, made.stamp_ns) == ("system2", 7, 2, 99)
    assert codec.decode(codec.encode(made)) == made


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(SessionError, match="another version"):
        snapshot.unpack(snapshot.pack(Stranger()), (Motion,))


def test_another_set_of_fields_is_refused() -> None:
    state = msgpack.packb({"~": "Motion", "q": 1}) or b""
    with pytest.raises(SessionError, match="another version"):
        snapshot.unpack(state, (Motion,))


@pytest.mark.parametrize(
    "state",
    [b"", b"\xc1", b"\x91" * 3000, b"\x81\x01\x02", b"\x81\xa1a\x02"],
    ids=repr,
)
def test_garbage_is_refused(state: bytes) -> None:
    with pytest.raises(RuntimeFault):
        snapshot.unpack(state, (Motion,))


@pytest.mark.parametrize(
    "spoil", [{"dtype": "nonsense"}, {"dtype": 3}, {"shape": (5, 5)}, {"data": b"123"}, {"shape": "x"}], ids=str
)
def test_a_spoilt_array_is_refused(spoil: dict[str, Any]) -> None:
    body = {"~": "array", "dtype": "<f8", "shape": (2,), "data": bytes(16)} | spoil
    with pytest.raises(SessionError):
        snapshot.unpack(msgpack.packb(body) or b"", ())
