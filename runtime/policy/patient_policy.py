"""A server's policy for whoever has time: evaluation, whose clock stands while a chunk is made. Made by opening.py.

A chunk that does not come would count as the policy's failure there, so a server that is lost ends the evaluation.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.requirements import Requirements
from runtime.config.settings import Settings
from runtime.errors import RuntimeFault
from runtime.host.clock import NS_PER_S, robot_time_ns
from runtime.policy.protocols import EncodedInstruction, Expected, NoChunk, Observation, Picture, Refused, Understanding
from runtime.policy.remote_policy import RemotePolicy

_AGAIN_S = 0.2  # before the same question is asked again; chosen: a connection needs less


class PatientPolicy(RemotePolicy):
    """A RemotePolicy that waits for its chunk for `policy.wire.silent_s`, and then gives up for good."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._reply_s = settings.policy.wire.silent_s

    def predict_chunk(self, observation: Observation) -> NDArray[np.float32]:
        """The chunk, however long it takes. Raises RuntimeFault where none comes, or a wrong one."""
        deadline_ns = robot_time_ns() + round(self._reply_s * NS_PER_S)
        while True:
            try:
                return super().predict_chunk(observation)
            except NoChunk as error:
                if isinstance(error, Refused) or robot_time_ns() > deadline_ns:
                    raise RuntimeFault(f"--policy.server {error}") from None
                time.sleep(_AGAIN_S)


class NoSlowPolicy:
    """The slow system of a policy that has none: it needs no windows and understands nothing."""

    weights = 0

    def __init__(self, needs: Requirements) -> None:
        self.needs = needs

    def has_frame(self, window: str, number: int) -> bool:
        return False

    def encode_frame(self, window: str, number: int, picture: Picture) -> None:
        """Nothing is kept."""

    def clear(self) -> None:
        """Nothing is kept."""

    def encode_video(self, windows: Mapping[str, Sequence[int]], instruction: EncodedInstruction) -> Understanding:
        return Understanding(arrays={}, maps={})

    def expected(self) -> Callable[[], Expected] | None:
        return None
