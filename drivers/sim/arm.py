"""A simulated Piper behind the arm protocol: reads and commands the simulator's process through its slots.

Made by runtime/arms/process.py where no CAN bus is emulated.
"""

from pathlib import Path

from drivers.arm import ArmState
from drivers.arm_link import SlotArm
from drivers.sim.link import StateSlot, side_index


class SimulatedArm(SlotArm):
    """One arm of the simulated robot, `side` left or right. `folder` is where the simulator keeps its slots.

    `states` may be shared by both arms, which then parse each state once.
    """

    def __init__(self, side: str, folder: Path, states: StateSlot | None = None) -> None:
        super().__init__(side, folder, "simulator")
        self._side = side_index(side)
        self._own, self._states = states is None, states or StateSlot(folder)

    def read(self) -> ArmState | None:
        """The newest reading, without waiting; None before the simulator's first step. It never warns of anything."""
        state = self._states.read()
        if state is None:
            return None
        q, dq, effort = state.arms[self._side]
        return ArmState(state.number, state.stamp_ns, q, dq, effort, state.powered[self._side])

    def close(self) -> None:
        """Unmap the slots; the simulator keeps the last target."""
        super().close()
        if self._own:
            self._states.close()
