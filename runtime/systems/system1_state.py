"""What System 1's step remembers, reads and never changes. Used by system1_step.py and whoever calls the step."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from runtime.config.settings import Settings
from runtime.messaging import messages
from runtime.policy.protocols import FastPolicy
from runtime.systems.frame_sets import FrameSet

NONE = -1  # a number that is not there


@dataclass
class System1State:
    """What a step remembers of its runs, of System 2's durations and of the chunk before; saved in snapshots."""

    run: int = 0  # runs that made a chunk
    skips: int = 0
    condition_durations_ns: tuple[int, ...] = ()  # durations of System 2's last conditions
    conditions: tuple[int, int] = (NONE, NONE)  # epoch and seq of the newest seen
    previous_t0_ns: int = 0
    previous_dt_ns: int = 1
    previous_q: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, messages.JOINTS)))
    previous_seq: int = NONE


@dataclass(frozen=True)
class System1Inputs:
    """The newest of everything System 1 reads."""

    episode: messages.Episode
    instruction: messages.Instruction
    embedding: messages.Embedding | None
    joints: messages.JointState | None
    conditions: messages.Conditions | None
    sets: tuple[FrameSet, ...]  # one notice a camera each, as old as the policy's history says; the newest last

    @property
    def newest(self) -> FrameSet:
        """The set that the run was started by; its newest capture time is the observation's."""
        return self.sets[-1]


@dataclass(frozen=True)
class System1Config:
    """What `step` needs and never changes; the policy keeps encoded pictures, which change no result."""

    settings: Settings
    fast: FastPolicy
    checkpoint_id: str
