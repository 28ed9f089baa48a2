"""A server's policy in a replay: it gives what the server gave then. Used by policy_steps.py.

Nobody can compute a server's chunks again here, so they are inputs of the replay: all else of System 1's step is made again.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.requirements import Requirements
from runtime.messaging import messages
from runtime.messaging.array_field import Array
from runtime.policy.protocols import EncodedInstruction, NoChunk, Observation, Picture, SetKey


class RecordedPolicy:
    """protocols.FastPolicy over one recorded output at a time."""

    weights = 0

    def __init__(self, needs: Requirements) -> None:
        self.needs = needs
        self._output: messages.ActionChunk | messages.Skip | None = None

    def gives(self, output: messages.ActionChunk | messages.Skip) -> None:
        """What the next step's question is answered with: the targets of a chunk, or why there was none."""
        self._output = output

    def has_images(self, key: SetKey) -> bool:
        """Always: no picture is needed to give what was recorded."""
        return True

    def prepare_images(self, pictures: tuple[Picture, ...]) -> object:
        return pictures

    def encode_images(self, key: SetKey, prepared: object) -> None:
        """Nothing: see `has_images`."""

    def clear(self) -> None:
        """Nothing is kept."""

    def instruct(self, instruction: EncodedInstruction) -> None:
        """Nothing: the text went to the server."""

    def foresee(self, conditions: Mapping[str, Array]) -> None:
        """Nothing: there were no conditions."""

    def predict_chunk(self, observation: Observation) -> NDArray[np.float32]:
        assert self._output is not None, "`gives` comes first"
        if isinstance(self._output, messages.Skip):
            raise NoChunk(self._output.reason)
        return self._output.q
