"""The simulated robot's joints behind an emulated CAN bus: read from the simulator's state, told through its target slot."""

from dataclasses import replace
from pathlib import Path

from drivers.arm import MotorCommand
from drivers.arm_link import ArmCommand, Array, TargetSlot
from drivers.sim.link import StateSlot, side_index


class SimulatedBody:
    """See drivers.piper_emulator.Body."""

    def __init__(self, side: str, folder: Path) -> None:
        self._side = side_index(side)
        self._states, self._targets = StateSlot(folder), TargetSlot(folder, "simulator", side)
        self._command = self._targets.read()

    @property
    def there(self) -> bool:
        """Whether the simulator has begun."""
        return self._states.read() is not None

    def advance(self, dt_s: float) -> None:
        """The simulator has its own clock."""

    def reading(self) -> tuple[Array, Array, Array]:
        """See Body."""
        state = self._states.read()
        assert state is not None, "read before the simulator began"
        q, dq, effort = state.arms[self._side]
        return q, dq, effort

    def follow(self, target: Array, now_ns: int) -> None:
        """See Body."""
        self._tell(replace(self._command, q=target, stamp_ns=now_ns))

    def switch_motors(self, motor_command: MotorCommand) -> None:
        """See Body."""
        self._tell(self._command.with_motor_command(motor_command))

    def _tell(self, command: ArmCommand) -> None:
        self._command = command
        self._targets.write(command)
