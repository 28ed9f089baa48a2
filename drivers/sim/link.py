"""What the simulator's process gives to simulated arms and cameras: the newest state of its scene, in a slot.

Written by runtime/devices/simulator.py, read by drivers/sim/arm.py, camera.py and can_body.py. Targets come to it as to any arm
(drivers/arm_link.py). Nobody waits for anybody, and a stopped side shows by its age.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivers.arm import ARM_JOINTS
from drivers.cobot_magic import SIDES
from drivers.errors import DriverError
from drivers.shared_slot import SharedSlot

_STATE_HEADER = struct.Struct("<qqqi??xx")  # number, stamp_ns, episode, count of qpos values, powered left and right
_CAPACITY_BYTES = 1 << 14  # chosen: room for 2000 values of qpos; the largest scene has 51
_ARM_VALUES = 3 * ARM_JOINTS  # q, dq, effort


@dataclass(frozen=True)
class SimulatorState:
    """The scene at one instant, as the physics' loop left it."""

    number: int  # steps of the physics' loop
    stamp_ns: int  # CLOCK_MONOTONIC time that the instant stands for
    episode: int
    arms: NDArray[np.float64]  # (2, 3, 7): left and right; q, dq, effort
    qpos: NDArray[np.float64]  # (nq,) of the whole scene, for rendering
    powered: tuple[bool, bool] = (True, True)  # left and right arm's motors


class StateSlot:
    """The newest SimulatorState; the simulator writes, arms and cameras read."""

    def __init__(self, folder: Path) -> None:
        self._slot = SharedSlot(folder / "simulator.state", _CAPACITY_BYTES)
        self._read: tuple[int, SimulatorState | None] = 0, None  # the newest state that was read, with its number

    def write(self, state: SimulatorState) -> None:
        """Replace the state; never waits. Raises DriverError for a scene that is too large for the slot."""
        header = _STATE_HEADER.pack(state.number, state.stamp_ns, state.episode, len(state.qpos), *state.powered)
        self._slot.write(header + state.arms.tobytes() + state.qpos.tobytes())

    def read(self) -> SimulatorState | None:
        """The newest state, without waiting; None before the simulator's first one."""
        count = self._slot.count  # before the value: one that comes meanwhile is read again
        if count != self._read[0]:
            self._read = count, self._parsed()
        return self._read[1]

    def _parsed(self) -> SimulatorState | None:
        payload = self._slot.read()
        if payload is None:
            return None
        number, stamp_ns, episode, count, *powered = _STATE_HEADER.unpack_from(payload)
        values = np.frombuffer(payload, dtype=np.float64, offset=_STATE_HEADER.size)
        arms = values[: 2 * _ARM_VALUES].reshape(2, 3, ARM_JOINTS)
        qpos = values[2 * _ARM_VALUES : 2 * _ARM_VALUES + count]
        return SimulatorState(number, stamp_ns, episode, arms, qpos, (powered[0], powered[1]))

    def close(self) -> None:
        """Unmap the memory; the file stays for the other side."""
        self._slot.close()


def side_index(side: str) -> int:
    """0 for the left arm, 1 for the right one; raises DriverError for another name."""
    if side not in SIDES:
        raise DriverError(f"unknown arm {side!r}; choose one of {', '.join(SIDES)}")
    return SIDES.index(side)
