"""A GPU box for a simulated robot: the command `system2` as another process, which reaches the robot over TCP through a link
that can be cut, fall silent, or grow long (runtime/bench/slow_link.py).
Made by matrix.py for the robots that have one; used by remote_rows.py.
"""

import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

from runtime.bench.slow_link import SlowLink
from runtime.errors import RuntimeFault
from runtime.faults.live_robot import LiveRobot
from runtime.host.child_process import die_with_parent

_NAME = "gpu box"  # among what a run closes
_ENDS_S = 5.0  # longest end of the command; chosen: System 2 has 3 s of it


class GpuBox:
    """Keys, a port, a link and the command. `flags`: with which the robot waits for it."""

    def __init__(self, folder: Path) -> None:
        self.keys, self._output = folder / "keys", folder / "box.txt"
        made = [sys.executable, "-m", "runtime.cli", "keys", str(self.keys)]
        subprocess.run(made, check=True, capture_output=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.link = SlowLink(self.port)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        return ("--system2.remote", f"tcp://127.0.0.1:{self.port}", "--system2.keys", str(self.keys))

    @staticmethod
    def of(robot: LiveRobot) -> "GpuBox":
        """The box of a run. Raises RuntimeFault where System 2 runs on the robot itself."""
        box = robot.closing.get(_NAME)
        if not isinstance(box, GpuBox):
            raise RuntimeFault("this robot has no GPU box")
        return box

    def join(self, robot: LiveRobot) -> None:
        """Open the link and run the command until the run ends."""
        robot.closing[_NAME] = self
        self.link.__enter__()
        self.start()

    def start(self) -> None:
        """Run the command; also again, after it was killed."""
        address = f"tcp://127.0.0.1:{self.link.port}"
        command = [sys.executable, "-m", "runtime.cli", "system2", "--robot", address, "--keys", str(self.keys)]
        with self._output.open("a") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                preexec_fn=partial(die_with_parent, "faults"),
            )  # fmt: skip

    def kill(self) -> None:
        """As where the box loses its power."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the command and the link."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_ENDS_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self.link.__exit__()
