"""A run seen from outside: where it is, who its processes are, and how somebody gives it commands.
Used by the command `operator` and by benchmarks of a live run.
"""

import os
import subprocess
import time
from pathlib import Path

from runtime.errors import RuntimeFault
from runtime.host.clock import robot_time_ns
from runtime.host.run_folder import others, running
from runtime.messaging import messages
from runtime.messaging.bus import Bus
from runtime.messaging.topics import OPERATOR
from runtime.process.processes import PROCESSES

_AGAIN_S, _GIVE_UP_S, _POLL_S = 0.2, 3.0, 0.02
"""Between two sendings (the arms send their state as often), until it gives up, and longest wait for a message. Chosen."""


def run_folder(pid: int | None) -> Path:
    """The folder of the run to talk to.

    Args:
        pid: The supervisor's process id; None: the only run there is.

    Raises:
        RuntimeFault: There is none, or not just one.
    """
    found = [(number, path) for number, path in running() if pid in (None, number)]
    if len(found) == 1:
        return found[0][1]
    if found:
        numbers = ", ".join(str(number) for number, _ in found)
        raise RuntimeFault(f"several robots are running; give --run with one of {numbers}")
    asked = f" as process {pid}" if pid is not None else ""
    raise RuntimeFault(f"no robot is running{asked}; start one with ./launch/robot.sh{_elsewhere()}")


def _elsewhere() -> str:
    """Which other user's run may be meant. Only its owner can command it."""
    return "".join(f"; user {name} may have one: run this as that user (sudo -u {name} ...)" for name in others()[:1])


def child(folder: Path, name: str) -> int:
    """The process id of one of the run's processes.

    Raises:
        RuntimeFault: It does not run.
    """
    found = children(folder)
    if name not in found:
        raise RuntimeFault(f"unknown process {name!r} of the run in {folder}")
    return found[name]


def children(folder: Path) -> dict[str, int]:
    """The process ids of all that the run's supervisor has started, by name."""
    mine = ["pgrep", "-u", str(os.geteuid()), "-af", f"runtime.process.base .* {folder}"]
    words = (line.split() for line in subprocess.run(mine, capture_output=True, text=True).stdout.splitlines())
    return {line[line.index("runtime.process.base") + 1]: int(line[0]) for line in words}


class Operator:
    """Somebody who gives commands to one run from outside of it. Close it at the end."""

    def __init__(self, folder: Path) -> None:
        self.bus = Bus(folder, OPERATOR, PROCESSES)
        try:
            self._safety, self._commands = self.bus.subscriber("safety"), self.bus.publisher("operator_command")
        except RuntimeFault:
            self.bus.close()
            raise

    def give(self, command: messages.CommandName, confirmed: bool = False) -> messages.SafetyState:
        """Send a command until the arms have answered it; they obey it once.

        Args:
            command: Its name.
            confirmed: Somebody stands beside the arms.

        Returns:
            The state with the answer: `answer` is empty where the command was obeyed.

        Raises:
            RuntimeFault: No answer within 3 s.
        """
        epoch = robot_time_ns()  # nobody else's
        message = messages.OperatorCommand(
            seq=0, epoch=epoch, stamp_ns=epoch, command=command, source=OPERATOR, confirmed=confirmed
        )
        deadline = time.monotonic() + _GIVE_UP_S
        while time.monotonic() < deadline:
            self._commands.send(message)  # it is obeyed once; the first may be sent before anybody listens
            if answer := self._answer(epoch):
                return answer
        raise RuntimeFault(
            f"{command}: no answer from the arms process within {_GIVE_UP_S:.0f} s; read logs/arms.log of the session"
        )

    def _answer(self, epoch: int) -> messages.SafetyState | None:
        until = time.monotonic() + _AGAIN_S
        while time.monotonic() < until:
            self.bus.wait(_POLL_S)
            for received in self._safety.take():
                if isinstance(received.message, messages.SafetyState) and received.message.answered[0] == epoch:
                    return received.message
        return None

    def send_raw(self, payload: bytes) -> None:
        """Send any bytes as a command, once; nobody answers what cannot be read."""
        self._commands.send_raw(payload)

    def hear(self) -> list[messages.SafetyState]:
        """The safety states that came since the last call, the newest last; does not wait."""
        arrived = (received.message for received in self._safety.take())
        return [message for message in arrived if isinstance(message, messages.SafetyState)]

    def close(self) -> None:
        self.bus.close()
