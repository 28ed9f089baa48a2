"""System 2's networks with faults, in a simulated robot: no GPU memory, or slower than they are.
Made by system2.py; switched by a run's `faults.json` (runtime/process/fault_injection.py).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from models.requirements import Requirements
from runtime.policy.protocols import EncodedInstruction, Expected, Picture, SlowPolicy, Understanding
from runtime.process.base import Process
from runtime.process.fault_injection import FaultFile

SECTION = "system2"


class SlowFaults(BaseModel):
    """What is wrong with System 2's device, nothing by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exhausted: Literal["", "once", "always"] = ""
    """The network finds no memory on the GPU: for one condition, or for all."""
    slow_s: float = Field(default=0.0, ge=0)
    """How much longer each condition takes."""


class FaultySlow:
    """A `SlowPolicy` that does what another one does, unless it is told not to."""

    def __init__(self, slow: SlowPolicy, faults: FaultFile[SlowFaults]) -> None:
        self._slow, self._file, self._faults = slow, faults, SlowFaults()

    @property
    def needs(self) -> Requirements:
        return self._slow.needs

    @property
    def weights(self) -> int:
        return self._slow.weights

    def has_frame(self, window: str, number: int) -> bool:
        return self._slow.has_frame(window, number)

    def encode_frame(self, window: str, number: int, picture: Picture) -> None:
        self._slow.encode_frame(window, number, picture)

    def clear(self) -> None:
        self._slow.clear()

    def encode_video(self, windows: Mapping[str, Sequence[int]], instruction: EncodedInstruction) -> Understanding:
        """As the policy does, or late, or not at all. Raises torch.OutOfMemoryError."""
        if (changed := self._file.changed()) is not None:
            self._faults = changed[SECTION]
        if self._faults.exhausted:
            once = self._faults.exhausted == "once"
            self._faults = self._faults.model_copy(update={"exhausted": "" if once else "always"})
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        time.sleep(self._faults.slow_s)
        return self._slow.encode_video(windows, instruction)

    def expected(self) -> Callable[[], Expected] | None:
        return self._slow.expected()


def with_faults(slow: SlowPolicy, process: Process) -> SlowPolicy:
    """The policy, whose faults can be switched on where the robot is simulated."""
    if process.settings.arms.kind != "simulated":
        return slow
    return FaultySlow(slow, FaultFile(process.folder, SlowFaults, (SECTION,)))
