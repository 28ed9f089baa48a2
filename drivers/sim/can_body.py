"""The simulated robot's joints behind an emulated CAN bus: read from the simulator's state, commanded through its target slot.

Made by runtime/devices/can_emulator.py.
"""

from dataclasses import replace
from pathlib import Path

from drivers.arm import MotorCommand
from drivers.arm_link import ArmCommand, Array, TargetSlot
from drivers.sim.link import StateSlot, side_index


class SimulatedBody:
    """A `Body` (drivers/piper_emulator.py) that the simulator's process moves; read it only once that is `there`."""

    def __init__(self, side: str, folder: Path) -> None:
        self._side = side_index(side)
        self._states, self._targets = StateSlot(folder), TargetSlot(folder, "simulator", side)
        self._command = self._targets.read()

    @property
    def there(self) -> bool:
        """Whether the simulator has published a state."""
        return self._states.read() is not None

    def advance(self, dt_s: float) -> None:
        """Does nothing: the simulator has a clock of its own."""

    def reading(self) -> tuple[Array, Array, Array]:
        state = self._states.read()
        assert state is not None, "read before the simulator began"
        q, dq, effort = state.arms[self._side]
        return q, dq, effort

    def follow(self, target: Array, now_ns: int) -> None:
        self._tell(replace(self._command, q=target, stamp_ns=now_ns))

    def switch_motors(self, motor_command: MotorCommand) -> None:
        self._tell(self._command.with_motor_command(motor_command))

    def _tell(self, command: ArmCommand) -> None:
        self._command = command
        self._targets.write(command)
