"""Starts a run's processes as copies of one process that has loaded what all of them need.

Made by the robot commands, used by runtime/supervisor/children.py. `main` is that process: it has neither threads nor sockets.
To load the same anew takes each process half a second, so that a robot with two processors starts 2 s later.
"""

import ctypes
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from setproctitle import setproctitle

from runtime.host.child_process import die_with_parent
from runtime.process import base

_PR_SET_CHILD_SUBREAPER = 36  # of linux/prctl.h
_MOST_BYTES = 1 << 14  # of a request: a name, a path and a number; chosen
_GO = b"1"  # what a copy waits for: without it, it ends
_ANSWER_S = 20.0  # until the server has loaded, on a machine that does much else; chosen
_REPARENT_POLL_S = 0.0005  # chosen: it is a matter of microseconds


@dataclass(frozen=True)
class _Request:
    """One process to be started, as runtime/process/base.py takes it."""

    name: str
    folder: str
    epoch: int


class ForkServer:
    """The process that others are copied from; it begins to load at once, beside whatever its maker does meanwhile."""

    def __init__(self) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)  # so that the copies become this process's own children
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requests.settimeout(_ANSWER_S)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "runtime.process.fork_server", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone
                env=os.environ | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
            )

    def start(self, name: str, folder: Path, epoch: int, log: int) -> "Forked":
        """Start a process of a run.

        Args:
            name: Of its row in the table of processes.
            folder: The run's in shared memory.
            epoch: Counts its starts in this run.
            log: A descriptor, to which its output goes.

        Raises:
            OSError: The server has ended, or does not answer. Nothing was started then, and nothing will be: it is closed.
        """
        request = json.dumps(asdict(_Request(name, str(folder), epoch))).encode()
        waits, goes = os.pipe()
        try:
            socket.send_fds(self._requests, [request], [log, waits])
            answer = self._requests.recv(_MOST_BYTES)
            if not answer:
                raise ConnectionResetError("the fork server has ended")
            os.write(goes, _GO)
        except OSError:
            self.close()
            raise
        finally:
            for end in (waits, goes):
                os.close(end)
        return Forked(int(answer))

    def close(self) -> None:
        """End the server; the processes that it started go on."""
        self._requests.close()
        self._process.kill()  # it has nothing to finish, and may be stopped
        self._process.wait()


class Forked:
    """A process of the server's as this process's child, with what is used of subprocess.Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code; a signal's number below zero; None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(0.005)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def main(descriptor: int) -> int:
    """Copy this process for each request that comes, until nobody can give any. In a copy: run its process to its end."""
    die_with_parent("forkserver")
    maker = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    gc.freeze()  # what was loaded is walked through by no copy, so that its memory stays shared
    requests = socket.socket(fileno=descriptor)
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, _MOST_BYTES, 2)
        if not message:
            return 0
        pid = _copy()
        if pid == 0:
            requests.close()
            log, waits = descriptors
            return _run(_Request(**json.loads(message)), log) if _may_run(waits, maker) else 1
        for received in descriptors:
            os.close(received)
        with suppress(ConnectionError):  # its maker has just ended
            requests.send(str(pid).encode())


def _copy() -> int:
    """Copy this process twice and end the copy between, so that the second becomes its maker's own child.

    Returns:
        Its process id, 0 in the copy.
    """
    reading, writing = os.pipe()
    between = os.fork()
    if between == 0:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            os.write(writing, str(pid).encode())
            os._exit(0)
        for end in (reading, writing):
            os.close(end)
        while os.getppid() == parent:  # whoever ends with its parent must not end with this one
            time.sleep(_REPARENT_POLL_S)
        return 0
    os.waitpid(between, 0)
    pid = int(os.read(reading, _MOST_BYTES))
    for end in (reading, writing):
        os.close(end)
    return pid


def _may_run(waits: int, maker: int) -> bool:
    """Whether the maker, which is this copy's parent, has heard of it. No arm has two processes: an unheard copy ends."""
    with os.fdopen(waits, "rb") as pipe:
        return pipe.read(len(_GO)) == _GO and os.getppid() == maker


def _run(request: _Request, log: int) -> int:
    """Be the process of a request: a session of its own, its output in its log."""
    os.setsid()
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    for output in (1, 2):
        os.dup2(log, output)
    os.close(log)
    as_by_itself = f"{sys.executable} -m runtime.process.base {request.name} {request.folder} {request.epoch}"
    setproctitle(as_by_itself)
    return base.main(request.name, Path(request.folder), request.epoch)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
