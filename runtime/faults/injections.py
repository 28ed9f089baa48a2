"""What can be done to a running robot: faults switched on in what simulates it, signals to its processes, a full disk.
Used by the tables of rows. Messages and links are in wires.py, what an operator does besides in operations.py.
"""

import json
import os
import resource
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.faults.live_robot import LiveRobot
from runtime.process import fault_injection

_NOTHING: Mapping[str, float] = {}


def switch(run: Path, faults: Mapping[str, Mapping[str, Any]]) -> None:
    """Let the emulated arms and the simulated cameras of a run have these faults, by part, and no others."""
    path = run / fault_injection.NAME
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(faults))
    beside.rename(path)


@dataclass(frozen=True)
class Switched:
    """Something of an emulated arm or a simulated camera; their lists are in drivers/piper_emulator.py and
    drivers/sim/faulty_camera.py.
    """

    part: str
    faults: Mapping[str, Any]
    before: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What is switched on before, and is no fault by itself."""

    def prepare(self, robot: LiveRobot) -> None:
        if self.before:
            switch(robot.folder, {self.part: self.before})
            robot.pause(1.0)

    def begin(self, robot: LiveRobot) -> str:
        switch(robot.folder, {self.part: {**self.before, **self.faults}})
        return ""

    def end(self, robot: LiveRobot) -> Mapping[str, float]:
        switch(robot.folder, {})
        return _NOTHING


@dataclass
class Signalled:
    """A signal to one of the run's processes; one that is stopped goes on at the end."""

    process: str
    number: signal.Signals
    _pid: int = 0

    def prepare(self, robot: LiveRobot) -> None:
        self._pid = robot.child(self.process)

    def begin(self, robot: LiveRobot) -> str:
        os.kill(self._pid, self.number)
        return ""

    def end(self, robot: LiveRobot) -> Mapping[str, float]:
        if self.number == signal.SIGSTOP:
            try:
                os.kill(self._pid, signal.SIGCONT)
            except ProcessLookupError:  # the supervisor has given it up and killed it
                return _NOTHING
        return _NOTHING


@dataclass
class FullDisk:
    """The disk of the session has no room left; or, where it is no disk of its own, the recorder may write no more."""

    _filled: Path | None = None

    def prepare(self, robot: LiveRobot) -> None:
        """Nothing takes time here."""

    def begin(self, robot: LiveRobot) -> str:
        if robot.session.stat().st_dev == robot.output.stat().st_dev:
            resource.prlimit(robot.child("recorder"), resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
            return ""
        self._filled = robot.session / "filled"
        with self._filled.open("wb") as file:
            while (free := shutil.disk_usage(robot.session).free) > 0:
                try:
                    os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size + free)
                except OSError:  # the recorder was quicker
                    break
        return ""

    def end(self, robot: LiveRobot) -> Mapping[str, float]:
        if self._filled is not None:
            self._filled.unlink()
            self._filled = None
        return _NOTHING
