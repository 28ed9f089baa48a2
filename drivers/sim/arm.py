"""A simulated Piper behind the arm protocol: reads and commands the simulator's process through its slots."""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivers.arm import ArmState
from drivers.arm_link import TargetSlot
from drivers.errors import DriverError
from drivers.sim.link import StateSlot, side_index

_POLL_S = 0.01


class SimulatedArm:
    """One arm of the simulated robot. `folder` is where the simulator keeps its slots."""

    def __init__(self, side: str, folder: Path) -> None:
        self.name = side
        self._side = side_index(side)
        self._states = StateSlot(folder)
        self._targets = TargetSlot(folder, "simulator", side)
        self._last: NDArray[np.float64] | None = None

    def connect(self) -> None:
        """Nothing to open: the slots are shared memory."""

    def enable(self, timeout_s: float) -> None:
        """Wait until the simulator gives a reading; raises DriverError after `timeout_s`."""
        deadline_ns = time.monotonic_ns() + int(timeout_s * 1e9)
        while self.read() is None:
            if time.monotonic_ns() > deadline_ns:
                raise DriverError(
                    f"arm {self.name}: no reading within {timeout_s} s; is the simulator process running?"
                )
            time.sleep(_POLL_S)

    def read(self) -> ArmState | None:
        """The newest reading, or None before the simulator's first step."""
        state = self._states.read()
        if state is None:
            return None
        q, dq, effort = state.arms[self._side]
        return ArmState(state.number, state.stamp_ns, q, dq, effort)

    def command(self, q: NDArray[np.float64], now_ns: int) -> None:
        """One target, q (7,) rad and m."""
        self._last = q.copy()
        self._targets.write(q, now_ns)

    def hold(self, now_ns: int) -> None:
        """Repeat the last target."""
        if self._last is not None:
            self._targets.write(self._last, now_ns)

    def close(self) -> None:
        """Unmap the slots; the simulator keeps the last target."""
        self._states.close()
        self._targets.close()
