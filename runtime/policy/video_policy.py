"""Video Policy behind the seam (protocols.py): its networks as a fast and a slow policy.
Made by networks.py; called by the steps of both systems.

Features of every denoising step travel as bfloat16 bits: `features`, (S, G, F). System 1 denoises targets against them any
number of times. It sees no newer picture than System 2 did unless its action network has eyes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray

from models.policy import InstructionEmbedding
from models.requirements import Requirements
from models.video_policy.needs import FEATURES
from runtime.messaging.array_field import Array
from runtime.policy.protocols import EncodedInstruction, Expected, Observation, Picture, SetKey, Understanding
from runtime.policy.video2act import bits, tensor

if TYPE_CHECKING:  # each process imports only its own part's libraries: they take seconds
    from models.video_policy.chunk_maker import ChunkMaker
    from models.video_policy.imaginer import Imaginer, Outlook


class FastVideoPolicy:
    """System 1: protocols.FastPolicy over a ChunkMaker (models/video_policy/chunk_maker.py)."""

    def __init__(self, network: "ChunkMaker", needs: Requirements) -> None:
        self.network, self.needs = network, needs
        self.weights = network.weights
        self._features: tuple[Mapping[str, Array], torch.Tensor] | None = None  # of the newest: n runs share them

    def has_images(self, key: SetKey) -> bool:
        return self.network.has(key)

    def prepare_images(self, pictures: tuple[Picture, ...]) -> object:
        return self.network.prepare(pictures)

    def encode_images(self, key: SetKey, prepared: object) -> None:
        self.network.keep(key, cast(torch.Tensor, prepared))

    def clear(self) -> None:
        self.network.clear()

    def instruct(self, instruction: EncodedInstruction) -> None:
        """Nothing: what an instruction asks for is in the features."""

    def foresee(self, conditions: Mapping[str, Array]) -> None:
        if self._features is None or self._features[0] is not conditions:
            self._features = (conditions, tensor(conditions[FEATURES]))

    def predict_chunk(self, observation: Observation) -> NDArray[np.float32]:
        assert observation.conditions is not None, "its requirements name conditions"
        self.foresee(observation.conditions)
        assert self._features is not None
        return self.network.predict_chunk(
            observation.sets[-1],
            observation.q,
            self._features[1],
            observation.conditions_age_s,
            observation.prefix,
            observation.noise_seed,
        )


class SlowVideoPolicy:
    """System 2: protocols.SlowPolicy over an Imaginer (models/video_policy/imaginer.py), which keeps encoded frames."""

    def __init__(self, network: "Imaginer", needs: Requirements) -> None:
        self.network, self.needs = network, needs
        self.weights = network.weights
        self._outlook: Outlook | None = None  # of the last conditions

    def has_frame(self, window: str, number: int) -> bool:
        return self.network.has(window, number)

    def encode_frame(self, window: str, number: int, picture: Picture) -> None:
        self.network.encode(window, number, picture)

    def clear(self) -> None:
        self.network.clear()

    def encode_video(self, windows: Mapping[str, Sequence[int]], instruction: EncodedInstruction) -> Understanding:
        newest = {name: numbers[-1] for name, numbers in windows.items()}
        self._outlook = self.network.imagine(newest, cast(InstructionEmbedding, instruction))
        return Understanding(arrays={FEATURES: bits(self._outlook.imagined.features[0])})

    def expected(self) -> Callable[[], Expected] | None:
        return None if self._outlook is None else partial(self._drawn, self._outlook)

    def _drawn(self, outlook: "Outlook") -> Expected:
        clip = self.network.config.clip
        seen, *pictures = self.network.pictures(outlook)
        return Expected(clip.cameras[0], seen, tuple(pictures), clip.stride / clip.rate_hz)
