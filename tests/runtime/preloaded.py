"""Processes for tests that need one of their own with torch and the networks in it: copies of one that has loaded these.

To load them takes each process seven seconds of a core. The one that is copied has run nothing: no thread, renderer or cluster.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from runtime import cli

_CONTEXT = multiprocessing.get_context("forkserver")
_LOADED = ["runtime.training.stages", "runtime.training.command", "torch.distributed.launcher.api"]


def started(call: Callable[..., Any], *arguments: object) -> BaseProcess:
    """A process that calls a function of a rig, in a session of its own."""
    _CONTEXT.set_forkserver_preload(_LOADED)
    process = _CONTEXT.Process(target=_leading, args=(call, *arguments))
    process.start()
    return process


def command_started(line: list[str], said: Path) -> BaseProcess:
    """The command `video2act`; what it prints goes to `out` and `err` in the folder `said`, as what its children print does."""
    said.mkdir(exist_ok=True)
    return started(_command, line, said)


def command_done(line: list[str], said: Path, timeout_s: float = 300.0) -> "subprocess.CompletedProcess[str]":
    """The same to its end, as subprocess.run gives it. Raises subprocess.TimeoutExpired."""
    process = command_started(line, said)
    process.join(timeout_s)
    if process.exitcode is None:
        process.kill()
        raise subprocess.TimeoutExpired(line, timeout_s)
    return subprocess.CompletedProcess(line, process.exitcode, (said / "out").read_text(), (said / "err").read_text())


def _leading(call: Callable[..., Any], *arguments: object) -> None:
    os.setsid()
    multiprocessing.set_start_method(
        None, force=True
    )  # it begins others as a program by itself does: not as it was begun
    sys.exit(call(*arguments))


def _command(line: list[str], said: Path) -> int:
    for number, name in ((1, "out"), (2, "err")):
        with (said / name).open("wb") as file:
            os.dup2(file.fileno(), number)
    sys.argv[:] = ["video2act", *line]
    return cli.main()
