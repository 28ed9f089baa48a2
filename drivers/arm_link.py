"""What passes between `arms` and whoever holds an arm's connection: newest-value slots, two an arm, in one folder.

Used by `arms` on one side, by the CAN processes, the simulator and the emulators on the other. Targets and commands go one way,
readings the other. Nobody waits for anybody, and a stopped side shows by the age of its values.
"""

import json
import struct
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from drivers.arm import ARM_JOINTS, ArmState, MotorCommand
from drivers.errors import DriverError
from drivers.shared_slot import SharedSlot

Array = NDArray[np.float64]
LED = "led"
"""The reader's name of the slots that tell where hands move leader arms."""
_KEPT = 4
"""Commands to the motors that a slot remembers. A reader looks every millisecond, but may be busy for up to a second asking the
motors something; four is more than an operator sends in that time."""
_COMMAND_HEAD = struct.Struct(
    f"<qq{_KEPT}b"
)  # stamp_ns; number of the newest command; the last ones' indices, newest last
_COMMAND = struct.Struct(f"{_COMMAND_HEAD.format}{3 * ARM_JOINTS}d")  # then q, dq, ddq
# number, stamp_ns, powered, leader_ns (0: no leader); q, dq, effort, leader's targets; then JSON: warning, fault
_READING = struct.Struct(f"<qqqq{4 * ARM_JOINTS}d")
_MOTOR_COMMANDS: tuple[MotorCommand, ...] = get_args(MotorCommand)
_NO_MOTOR_COMMAND = -1
_CAPACITY_BYTES = 1 << 11  # chosen: a reading has 256 bytes, and its two texts 800 letters
_LONGEST_TEXT = 400  # letters of a warning or fault; chosen: they are a line or two, what is longer is cut
_POLL_S = 0.01  # chosen: two ticks of the 200 Hz at which arms report


STILL = np.zeros(ARM_JOINTS)


@dataclass(frozen=True)
class ArmCommand:
    """The last target of an arm, and the last commands to its motors."""

    q: Array  # (7,): joints rad, gripper opening m
    stamp_ns: int  # when the target is due; 0: there is none yet
    number: int = 0  # counts the commands to its motors; 0: there was none
    motor_commands: tuple[MotorCommand, ...] = ()  # the last of them, the newest last
    dq: Array = field(default_factory=lambda: STILL)  # (7,) per s: how the arm moves there, and so can stop from there
    ddq: Array = field(default_factory=lambda: STILL)  # (7,) per s2

    def since(self, number: int) -> tuple[MotorCommand, ...]:
        """The commands to the motors after that number, oldest first; at most the four that are remembered."""
        return self.motor_commands[-(self.number - number) :] if self.number > number else ()

    def with_motor_command(self, motor_command: MotorCommand) -> "ArmCommand":
        """A copy with one command to the motors more, which forgets the oldest beyond four."""
        return replace(self, number=self.number + 1, motor_commands=(*self.motor_commands, motor_command)[-_KEPT:])


_NO_COMMAND = ArmCommand(np.zeros(ARM_JOINTS), 0)


class TargetSlot:
    """The newest ArmCommand of one arm; `reader` is who follows it: the simulator, or the arm's CAN process."""

    def __init__(self, folder: Path, reader: str, side: str) -> None:
        self._slot = SharedSlot(folder / f"{reader}.target.{side}", _COMMAND.size)

    def write(self, command: ArmCommand) -> None:
        """Replace the command; never waits for the reader."""
        indices = _indices(command.motor_commands)
        numbers = (*command.q.tolist(), *command.dq.tolist(), *command.ddq.tolist())
        self._slot.write(_COMMAND.pack(command.stamp_ns, command.number, *indices, *numbers))

    def read(self) -> ArmCommand:
        """The newest command; before the first one, one with stamp_ns 0 and no commands to the motors."""
        payload = self._slot.read()
        if payload is None:
            return _NO_COMMAND
        stamp_ns, number, *indices = _COMMAND_HEAD.unpack_from(payload)
        motor_commands = tuple([_MOTOR_COMMANDS[index] for index in indices if index != _NO_MOTOR_COMMAND])
        q, dq, ddq = np.frombuffer(payload, np.float64, offset=_COMMAND_HEAD.size).reshape(3, ARM_JOINTS).copy()
        return ArmCommand(q, stamp_ns, number, motor_commands, dq, ddq)

    def close(self) -> None:
        """Unmap the memory; the file stays for the other side."""
        self._slot.close()


@cache
def _indices(motor_commands: tuple[MotorCommand, ...]) -> tuple[int, ...]:
    """The commands as the slot holds them, at its end."""
    indices = tuple(_MOTOR_COMMANDS.index(motor_command) for motor_command in motor_commands)
    return (_NO_MOTOR_COMMAND,) * (_KEPT - len(indices)) + indices


class ReadingSlot:
    """The newest reading of one arm; its CAN process writes, `arms` reads."""

    def __init__(self, folder: Path, side: str) -> None:
        self._slot = SharedSlot(folder / f"can.reading.{side}", _CAPACITY_BYTES)

    def write(self, state: ArmState) -> None:
        """Replace the reading; texts beyond 400 letters are cut."""
        leader = np.zeros(ARM_JOINTS) if state.leader is None else state.leader
        numbers = np.concatenate([state.q, state.dq, state.effort, leader]).tolist()
        texts = json.dumps([state.warning[:_LONGEST_TEXT], state.fault[:_LONGEST_TEXT]]).encode()
        packed = _READING.pack(state.number, state.stamp_ns, state.powered, state.leader_ns, *numbers)
        self._slot.write(packed + texts)

    def read(self) -> ArmState | None:
        """The newest reading, without waiting; None before the first one."""
        payload = self._slot.read()
        if payload is None:
            return None
        number, stamp_ns, powered, leader_ns, *numbers = _READING.unpack_from(payload)
        warning, fault = json.loads(payload[_READING.size :])
        q, dq, effort, leader = np.array(numbers).reshape(4, ARM_JOINTS)
        command = (leader, leader_ns) if leader_ns else (None, 0)
        return ArmState(number, stamp_ns, q, dq, effort, bool(powered), warning, fault, *command)

    def close(self) -> None:
        """Unmap the memory; the file stays for the other side."""
        self._slot.close()


class SlotArm(ABC):
    """An arm that another process moves: no SDK, no thread. `peer` is that process, the reader of the targets."""

    def __init__(self, side: str, folder: Path, peer: str) -> None:
        self.name = side
        self._peer, self._targets = peer, TargetSlot(folder, peer, side)
        self._command = replace(self._targets.read(), stamp_ns=0)  # a process that comes back goes on counting

    def connect(self) -> None:  # noqa: B027
        """Does nothing: the slots were mapped when the arm was made."""

    def wait(self, timeout_s: float) -> None:
        """Wait for the first reading; raises DriverError after `timeout_s`."""
        deadline_ns = time.monotonic_ns() + int(timeout_s * 1e9)
        while self.read() is None:
            if time.monotonic_ns() > deadline_ns:
                raise DriverError(
                    f"{self.name} arm: no feedback within {timeout_s} s; check that the {self._peer} process runs"
                )
            time.sleep(_POLL_S)

    def ask(self, motor_command: MotorCommand) -> None:
        """Send a command to the motors without waiting until it is done; the readings show when it is."""
        self._command = self._command.with_motor_command(motor_command)
        self._targets.write(self._command)

    def enable(self, timeout_s: float) -> None:
        """Switch the motors on where they are; raises DriverError after `timeout_s`."""
        deadline_ns = time.monotonic_ns() + int(timeout_s * 1e9)
        self.wait(timeout_s)
        self.ask("enable")
        while not ((state := self.read()) and state.powered):
            if time.monotonic_ns() > deadline_ns:
                raise DriverError(f"{self.name} arm: motors are not on after {timeout_s} s; read the session's logs")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Ask for the damped stop: the arm sinks slowly."""
        self.ask("stop")

    def release(self) -> None:
        """Ask that the motors lose their power: the arm falls if nothing carries it."""
        self.ask("release")

    def reset(self) -> None:
        """Ask that a stop is taken back, and the power with it."""
        self.ask("reset")

    @abstractmethod
    def read(self) -> ArmState | None:
        """The newest reading, without waiting; None before the other process gave one."""
        ...

    def command(self, q: Array, now_ns: int, dq: Array = STILL, ddq: Array = STILL) -> None:
        """Send one target.

        Args:
            q: (7,) rad and m, copied.
            now_ns: When it is due, by which the other side sees its age and keeps time.
            dq: (7,) per s, how the arm moves there; at rest where it is left out.
            ddq: (7,) per s2.
        """
        before = self._command
        self._command = ArmCommand(q.copy(), now_ns, before.number, before.motor_commands, dq.copy(), ddq.copy())
        self._targets.write(self._command)

    def hold(self, now_ns: int) -> None:
        """Send the last target again with a new stamp, to rest there; does nothing before the first one."""
        if self._command.stamp_ns:
            self.command(self._command.q, now_ns)

    def close(self) -> None:
        """Unmap the target's slot; the other process sees the target grow old."""
        self._targets.close()


class LinkedArm(SlotArm):
    """An arm on a CAN bus, behind the process that holds it."""

    def __init__(self, side: str, folder: Path) -> None:
        super().__init__(side, folder, "can")
        self._readings = ReadingSlot(folder, side)

    def read(self) -> ArmState | None:
        """The newest reading of the CAN process; None before its first one."""
        return self._readings.read()

    def close(self) -> None:
        """Unmap both slots. The CAN process sees the target grow old, brakes and holds the arm."""
        super().close()
        self._readings.close()
