"""System 2 in a process of its own beside a bench of System 1, as on a robot. Used by models."""

import subprocess
import sys
import threading
from typing import NoReturn, Self

from runtime.bench.systems import Choice
from runtime.errors import RuntimeFault


class Beside:
    """System 2 in a process of its own; `times_ms` of its runs so far."""

    def __init__(self, choice: Choice) -> None:
        command = [sys.executable, "-m", "runtime.bench.systems", choice.model_dump_json()]
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self.times_ms: list[float] = []

    def __enter__(self) -> Self:
        assert self._child.stdout is not None
        try:
            if not self._child.stdout.readline():  # else it is warm
                self._fail()
        except BaseException:  # waiting may be cut short
            self._child.kill()
            raise
        self._listener.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._child.kill()
        self._listener.join()
        with self._child:  # closes its pipes
            pass

    def ask(self) -> None:
        """Ask for one run more; does not wait for it. Raises RuntimeFault when the process has ended."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write("run\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            self._fail()

    def check(self) -> None:
        """Raises RuntimeFault, with the process's last line, when it has ended."""
        if self._child.poll() is not None:
            self._fail()

    def _listen(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self.times_ms.append(float(line))

    def _fail(self) -> NoReturn:
        self._child.kill()
        if self._listener.is_alive():
            self._listener.join()
        with self._child:
            assert self._child.stderr is not None
            reported = self._child.stderr.read()
        last = (reported.strip().splitlines() or ["killed"])[-1]
        raise RuntimeFault(f"System 2's process ended ({last:.200}); give --storage float8, or a smaller --size")
