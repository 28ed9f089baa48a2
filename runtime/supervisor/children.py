"""The processes of one run as the operating system knows them: started, checked, ended, killed. Used by robot.

Which of them are to be started or killed is decided elsewhere (supervisor.step).
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from runtime.process.fork_server import Forked, ForkServer


class Children:
    """Child processes by name; each one's output goes to a file in `logs`, and `tell` hears when it cannot."""

    def __init__(self, folder: Path, logs: Path, tell: Callable[[str], None], server: ForkServer) -> None:
        """`folder`: the run's in shared memory, which every child is given. `server`: starts them."""
        self._folder, self._logs, self._tell, self._server = folder, logs, tell, server
        self._running: dict[str, Forked | subprocess.Popen[bytes]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The processes that were started and have not been seen to end."""
        return tuple(self._running)

    def start(self, name: str, epoch: int) -> None:
        """Start a process for the `epoch`-th time; by itself where the server is gone."""
        with self._log(name) as log:
            try:
                self._running[name] = self._server.start(name, self._folder, epoch, log.fileno())
            except OSError:
                self._running[name] = self._alone(name, epoch, log)

    def _alone(self, name: str, epoch: int, log: BinaryIO) -> "subprocess.Popen[bytes]":
        arguments = [sys.executable, "-m", "runtime.process.base", name, str(self._folder), str(epoch)]
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which ends the others in order
            env=os.environ | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
        )

    def take_exits(self) -> dict[str, int]:
        """The exit codes of those that ended since the last call, by name."""
        codes = {name: child.poll() for name, child in self._running.items()}
        exits = {name: code for name, code in codes.items() if code is not None}
        for name in exits:
            del self._running[name]
        return exits

    def kill(self, name: str) -> None:
        """Kill one with SIGKILL; `take_exits` sees its end."""
        self._running[name].kill()

    def end(self, names: Iterable[str], wait_s: float) -> None:
        """Ask these to end; whoever has not after `wait_s` is killed."""
        children = [self._running[name] for name in names if name in self._running]
        for child in children:
            child.send_signal(signal.SIGCONT)  # a stopped process cannot end
            child.terminate()
        deadline = time.monotonic() + wait_s
        for child in children:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()

    def kill_all(self) -> None:
        """Kill all that still run and wait for them, so that the run leaves no process behind."""
        for child in self._running.values():
            if child.poll() is None:
                child.kill()
            child.wait()

    def _log(self, name: str) -> BinaryIO:
        """Where a process's output goes; nowhere when the disk does not take it, which must not end the robot."""
        try:
            self._logs.mkdir(exist_ok=True)
            return (self._logs / f"{name}.log").open("ab")
        except OSError as error:
            self._tell(
                f"{self._logs}: cannot be written ({error.strerror}); {name} runs without a log; free disk space"
            )
            return Path(os.devnull).open("ab")
