"""What passes between `arms` and whoever holds an arm's connection: newest-value slots, two an arm, in one folder.

The target goes one way, the reading the other. Nobody waits for anybody, and a stopped side shows by its age.
"""

import json
import struct
import time
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivers.arm import ARM_JOINTS, ArmState
from drivers.errors import DriverError
from drivers.slot import SharedSlot

Array = NDArray[np.float64]
_TARGET = struct.Struct(f"<q{ARM_JOINTS}d")  # stamp_ns, q
_READING = struct.Struct(f"<qq{3 * ARM_JOINTS}d")  # number, stamp_ns; q, dq, effort; trouble and fault follow as JSON
_CAPACITY_BYTES = 1 << 11
_LONGEST_TEXT = 400
_POLL_S = 0.01


class TargetSlot:
    """The newest target of one arm; `reader` is who follows it: the simulator, or the arm's CAN process."""

    def __init__(self, folder: Path, reader: str, side: str) -> None:
        self._slot = SharedSlot(folder / f"{reader}.target.{side}", _TARGET.size)

    def write(self, q: Array, stamp_ns: int) -> None:
        """q (7,): joints rad, gripper opening m."""
        self._slot.write(_TARGET.pack(stamp_ns, *q.tolist()))

    def read(self) -> tuple[int, Array] | None:
        """(stamp_ns, q (7,)), or None before the first target."""
        payload = self._slot.read()
        if payload is None:
            return None
        stamp_ns, *q = _TARGET.unpack(payload)
        return stamp_ns, np.array(q)

    def close(self) -> None:
        """Unmap."""
        self._slot.close()


class ReadingSlot:
    """The newest reading of one arm; its CAN process writes, `arms` reads."""

    def __init__(self, folder: Path, side: str) -> None:
        self._slot = SharedSlot(folder / f"can.reading.{side}", _CAPACITY_BYTES)

    def write(self, state: ArmState) -> None:
        """Publish one reading."""
        numbers = np.concatenate([state.q, state.dq, state.effort]).tolist()
        texts = json.dumps([state.trouble[:_LONGEST_TEXT], state.fault[:_LONGEST_TEXT]]).encode()
        self._slot.write(_READING.pack(state.number, state.stamp_ns, *numbers) + texts)

    def read(self) -> ArmState | None:
        """The newest reading, or None before the first."""
        payload = self._slot.read()
        if payload is None:
            return None
        number, stamp_ns, *numbers = _READING.unpack_from(payload)
        trouble, fault = json.loads(payload[_READING.size :])
        return ArmState(number, stamp_ns, *np.array(numbers).reshape(3, ARM_JOINTS), trouble=trouble, fault=fault)

    def close(self) -> None:
        """Unmap."""
        self._slot.close()


class SlotArm(ABC):
    """An arm that another process moves: no SDK, no thread. `peer` is that process, the reader of the targets."""

    def __init__(self, side: str, folder: Path, peer: str) -> None:
        self.name = side
        self._peer, self._targets = peer, TargetSlot(folder, peer, side)
        self._last: Array | None = None

    def connect(self) -> None:  # noqa: B027
        """Nothing to open: the slots are shared memory."""

    def enable(self, timeout_s: float) -> None:
        """Wait for the first reading; raises DriverError after `timeout_s`."""
        deadline_ns = time.monotonic_ns() + int(timeout_s * 1e9)
        while self.read() is None:
            if time.monotonic_ns() > deadline_ns:
                raise DriverError(
                    f"arm {self.name}: no reading within {timeout_s} s; is the {self._peer} process running?"
                )
            time.sleep(_POLL_S)

    @abstractmethod
    def read(self) -> ArmState | None:
        """The newest reading."""
        ...

    def command(self, q: Array, now_ns: int) -> None:
        """One target, q (7,) rad and m."""
        self._last = q.copy()
        self._targets.write(q, now_ns)

    def hold(self, now_ns: int) -> None:
        """Repeat the last target."""
        if self._last is not None:
            self._targets.write(self._last, now_ns)

    def close(self) -> None:
        """Unmap; the other process sees the target grow old."""
        self._targets.close()


class LinkedArm(SlotArm):
    """An arm on a CAN bus, whose process switches its motors on with the first target."""

    def __init__(self, side: str, folder: Path) -> None:
        super().__init__(side, folder, "can")
        self._readings = ReadingSlot(folder, side)

    def read(self) -> ArmState | None:
        """The newest reading."""
        return self._readings.read()

    def close(self) -> None:
        """Unmap; the arm holds."""
        super().close()
        self._readings.close()
