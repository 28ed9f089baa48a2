"""Chunks as nobody should send them, as payloads: what a broken, late, restarted or lying System 1 could put on the wire.
Used by fuzz.py and by the command `faults`.

Each kind is one way to be wrong; numbers go to their extremes. Seeded.
"""

import random
from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from runtime.messaging import codec, messages

_GRIPPERS = np.isin(np.arange(messages.JOINTS), (6, 13))  # which of the joints are
_LARGEST = 3e38  # nearly the greatest float32
_TIMES = ("t0_ns", "dt_ns", "observation_ns", "conditions_capture_ns", "conditions_limit_ns", "stamp_ns")
_NUMBERS = ("run", "committed", "consumed", "previous_seq", "noise_seed", "conditions_seq", "frame_returned_ns")
_DTYPES = ("float64", "float16", "int32", "bfloat16", "complex64", "object", "")
Body = dict[str, Any]


class Hostile:
    """Makes a hostile chunk out of each good one, of a kind drawn from its seed."""

    def __init__(self, seed: int) -> None:
        self._dice, self._numbers = random.Random(seed), np.random.default_rng(seed)
        self._kinds: dict[str, Callable[[messages.ActionChunk], bytes]] = {
            "good": codec.encode,
            "wild targets": self._wild,
            "NaN or infinity": self._not_finite,
            "another length": self._length,
            "wrong shape": self._shape,
            "wrong dtype": self._dtype,
            "wrong times": lambda good: self._extreme(good, _TIMES),
            "wrong numbers": lambda good: self._extreme(good, _NUMBERS),
            "reordered": self._reordered,
            "expired": self._expired,
            "other episode": self._other,
            "wrong fields": self._fields,
            "damaged bytes": self._damaged,
        }

    def payload(self, good: messages.ActionChunk) -> tuple[str, bytes]:
        """A kind by chance, and what comes over the wire instead of `good`."""
        kind = self._dice.choice(tuple(self._kinds))
        return kind, self._kinds[kind](good)

    def of(self, kind: str, good: messages.ActionChunk) -> bytes:
        """What comes over the wire instead of `good`, of one kind."""
        return self._kinds[kind](good)

    def _wild(self, good: messages.ActionChunk) -> bytes:
        """Targets around the pose: noisy, jumping, beyond the limits, or as large as a float can be."""
        scale = self._dice.choice([1e-6, 0.01, 0.1, 0.3, 1.0, 2.0, 1e6, _LARGEST])
        joints = self._dice.choice([self._numbers.integers(0, 2, messages.JOINTS) > 0, _GRIPPERS, ~_GRIPPERS])
        steps = self._dice.choice([len(good.q), 1, 4])  # each step another place, all the same, or in stretches
        noise = self._numbers.uniform(-1, 1, (steps, messages.JOINTS))
        noise = np.repeat(noise, len(good.q) // steps, axis=0) if steps > 1 else noise
        with np.errstate(over="ignore"):
            q = good.q + np.clip(scale * noise, -_LARGEST, _LARGEST) * joints
        return self._with(good, q=_map(np.broadcast_to(q, good.q.shape).astype(np.float32)))

    def _not_finite(self, good: messages.ActionChunk) -> bytes:
        q = good.q.copy()
        places = self._numbers.integers(0, q.size, self._dice.choice([1, 3, q.size]))
        q.flat[places] = self._dice.choice([np.nan, np.inf, -np.inf])
        return self._with(good, q=_map(q))

    def _length(self, good: messages.ActionChunk) -> bytes:
        """A whole way of fewer or more targets: honest, as another policy's may be."""
        count = self._dice.choice([1, 2, 3, 16, 50, messages.MOST_TARGETS])
        places = np.linspace(0, len(good.q) - 1, count)
        q = np.stack([np.interp(places, np.arange(len(good.q)), joint) for joint in good.q.T], axis=1)
        dt_ns = good.dt_ns * len(good.q) // count
        return self._with(good, q=_map(q.astype(np.float32)), dt_ns=min(dt_ns, messages.LONGEST_DT_NS))

    def _shape(self, good: messages.ActionChunk) -> bytes:
        shape = self._dice.choice(
            [(129, 14), (64, 13), (14, 64), (0, 14), (64, 14, 1), (896,), (1 << 23, 14), (-64, -14)]
        )
        small = min(shape) >= 0 and np.prod(shape) < 2 * good.q.size
        return self._with(good, q=_map(np.zeros(shape, np.float32)) if small else _map(good.q) | {"shape": shape})

    def _dtype(self, good: messages.ActionChunk) -> bytes:
        name = self._dice.choice(_DTYPES)
        if name in ("float64", "float16", "int32", "complex64") and self._dice.random() < 0.5:
            return self._with(good, q=_map(good.q.astype(name)))
        return self._with(good, q=_map(good.q) | {"dtype": name})

    def _extreme(self, good: messages.ActionChunk, names: tuple[str, ...]) -> bytes:
        near = good.t0_ns + self._dice.choice([-1, 1]) * self._dice.choice(
            [0, 1, 10_000_000, 300_000_000, 5_000_000_000]
        )
        values = [near, near, near, 0, 1, -1, -(1 << 63), (1 << 63) - 1, (1 << 64) - 1, 1 << 53]
        chosen = self._dice.sample(names, self._dice.choice([1, 1, 2]))
        return self._with(good, **{name: self._dice.choice(values) for name in chosen})

    def _reordered(self, good: messages.ActionChunk) -> bytes:
        seq, epoch = (
            good.seq + self._dice.choice([-1, -2, -500, 3, 1 << 40]),
            good.epoch + self._dice.choice([-1, 0, 0, 1]),
        )
        return self._with(good, seq=max(0, seq), epoch=max(0, epoch))

    def _expired(self, good: messages.ActionChunk) -> bytes:
        late_ns = self._dice.choice([200_000_000, 590_000_000, 610_000_000, 3_000_000_000, good.t0_ns])
        times = {name: getattr(good, name) - late_ns for name in ("t0_ns", "observation_ns", "conditions_capture_ns")}
        return self._with(good, **times)

    def _other(self, good: messages.ActionChunk) -> bytes:
        name = self._dice.choice(["episode", "instruction"])
        return self._with(good, **{name: getattr(good, name) + self._dice.choice([-1, 1, 1 << 40])})

    def _fields(self, good: messages.ActionChunk) -> bytes:
        body = _body(good)
        name = self._dice.choice(tuple(body))
        match self._dice.randrange(3):
            case 0:
                del body[name]
            case 1:
                body[name + "x"] = body[name]
            case _:
                body[name] = self._dice.choice([None, "1", -1, 1.5, True, (), {}, b"", float("nan"), 1 << 63])
        return _packed(body)

    def _damaged(self, good: messages.ActionChunk) -> bytes:
        data = bytearray(codec.encode(good))
        for _ in range(self._dice.choice([1, 1, 2, 50])):
            data[self._dice.randrange(len(data))] ^= 1 << self._dice.randrange(8)
        cut = self._dice.choice([len(data), len(data), self._dice.randrange(len(data))])
        return bytes(data[:cut]) + self._dice.choice([b"", b"", b"\xc0", bytes(data)])

    def _with(self, good: messages.ActionChunk, **changes: Any) -> bytes:
        return _packed(_body(good) | changes)


def _body(good: messages.ActionChunk) -> Body:
    return codec.unpack(codec.encode(good))


def _packed(body: Body) -> bytes:
    packed = msgpack.packb(body)
    assert isinstance(packed, bytes)
    return packed


def _map(q: NDArray[Any]) -> Body:
    return {"dtype": str(q.dtype), "shape": q.shape, "data": q.tobytes()}
