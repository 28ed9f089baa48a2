"""One training in several processes, a GPU each, on one machine or more: torch's launcher starts the same command for each.

Used by train. A process that was started so knows its place by the environment; alone it is chief and first of its machine.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import RuntimeFault, SettingsError

_POLL_S = 0.5  # between two looks for a file; chosen: what is waited for takes minutes


@dataclass(frozen=True)
class Ranks:
    """How many processes train together, and where they meet."""

    processes: int = 1  # on this machine
    machines: int = 1
    meet: str = ""  # HOST:PORT of the first machine

    def check(self) -> None:
        """Raises SettingsError where machines have no place to meet, or one machine has one."""
        host, _, port = self.meet.rpartition(":")
        if self.machines > 1 and not (host and port.isdigit()):
            raise SettingsError(
                f"--meet: {self.machines} machines need HOST:PORT of the first one, got {self.meet!r:.60}"
            )
        if self.machines == 1 and self.meet:
            raise SettingsError(f"--meet {self.meet}: needs --machines; give it, or leave --meet out")

    @property
    def several(self) -> bool:
        """Whether more than one process trains, so that a launcher is needed."""
        return self.processes * self.machines > 1


def started() -> bool:
    """Whether this process is one of several."""
    return "RANK" in os.environ


def chief() -> bool:
    """Whether this process writes what is written once."""
    return os.environ.get("RANK", "0") == "0"


def first_here() -> bool:
    """Whether this process prepares what the others of its machine read."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def start(ranks: Ranks, module: str, arguments: Sequence[str]) -> None:
    """Run `python -m module arguments` in every process of this machine, and wait.

    Raises:
        RuntimeFault: One of them fails.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=ranks.machines,
        max_nodes=ranks.machines,
        nproc_per_node=ranks.processes,
        run_id="video2act",
        rdzv_backend="c10d",
        rdzv_endpoint=ranks.meet or "127.0.0.1:0",
        local_addr=None if ranks.meet else "127.0.0.1",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", module, *arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        raise RuntimeFault(f"process {rank} ended with status {failure.exitcode}; read its reason above") from None


def wait_for(files: Sequence[Path]) -> None:
    """Wait until another process has made all these files. Where that one fails, the launcher ends this one."""
    for path in files:
        while not path.exists():
            time.sleep(_POLL_S)
