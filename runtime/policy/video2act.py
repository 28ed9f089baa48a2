"""Video2Act behind the seam (protocols.py): its networks as a fast and a slow policy.
Made by networks.py; called by the steps of both systems.

Condition tokens travel as bfloat16 bits: `spatial` and `motion`, (K, D) each.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray

from models.embedding_file import load_embedding
from models.errors import ModelError
from models.policy import ConditionTokens, InstructionEmbedding
from models.requirements import Requirements
from runtime.errors import RuntimeFault
from runtime.messaging.array_field import Array
from runtime.messaging.messages import Rectangle
from runtime.policy.protocols import EncodedInstruction, Expected, Observation, Picture, SetKey, Understanding

if TYPE_CHECKING:  # each process imports only its own part's libraries: they take seconds
    from models.chunk_predictor import ChunkPredictor
    from models.condition_maker import ConditionMaker
    from models.window import LatentRing

_WHOLE: Rectangle = (0.0, 0.0, 1.0, 1.0)  # all of a picture


class FastVideo2Act:
    """System 1: protocols.FastPolicy over a ChunkPredictor (models/chunk_predictor.py), which keeps the encoded sets."""

    def __init__(self, network: "ChunkPredictor", needs: Requirements) -> None:
        self.network, self.needs = network, needs
        self.weights = network.weights
        self._tokens: tuple[Mapping[str, Array], ConditionTokens] | None = None  # of the newest: n runs share them

    def has_images(self, key: SetKey) -> bool:
        return self.network.has(key)

    def prepare_images(self, pictures: tuple[Picture, ...]) -> object:
        return self.network.prepare(pictures)

    def encode_images(self, key: SetKey, prepared: object) -> None:
        self.network.encode_images(key, cast(torch.Tensor, prepared))

    def clear(self) -> None:
        self.network.clear()

    def instruct(self, instruction: EncodedInstruction) -> None:
        self.network.instruct(cast(InstructionEmbedding, instruction))

    def foresee(self, conditions: Mapping[str, Array]) -> None:
        if self._tokens is None or self._tokens[0] is not conditions:
            self._tokens = (conditions, ConditionTokens(*(tensor(conditions[name]) for name in ("spatial", "motion"))))

    def predict_chunk(self, observation: Observation) -> NDArray[np.float32]:
        assert observation.conditions is not None, "its requirements name conditions"
        self.foresee(observation.conditions)
        assert self._tokens is not None
        return self.network.predict_chunk(
            [self.network.encode_images(key, torch.empty(0)) for key in observation.sets],
            observation.q,
            cast(InstructionEmbedding, observation.instruction),
            self._tokens[1],
            observation.conditions_age_s,
            observation.prefix,
            observation.noise_seed,
        )


class SlowVideo2Act:
    """System 2: protocols.SlowPolicy over a ConditionMaker (models/condition_maker.py), whose rings keep encoded frames."""

    def __init__(self, network: "ConditionMaker", needs: Requirements) -> None:
        self.network, self.needs = network, needs
        self.weights = network.weights
        self._rings: dict[str, LatentRing] = {"high": network.high, "low": network.low}
        self._aspect = 4 / 3  # of the camera's pictures

    def has_frame(self, window: str, number: int) -> bool:
        return number in self._rings[window]

    def encode_frame(self, window: str, number: int, picture: Picture) -> None:
        self._aspect = picture.shape[1] / picture.shape[0]
        self.network.encode(self._rings[window], number, picture)

    def clear(self) -> None:
        self.network.clear()

    def encode_video(self, windows: Mapping[str, Sequence[int]], instruction: EncodedInstruction) -> Understanding:
        high, low = list(windows["high"]), list(windows["low"])
        seen = self.network.encode_video(high, low, cast(InstructionEmbedding, instruction))
        return Understanding(
            arrays={"spatial": bits(seen.spatial), "motion": bits(seen.motion)},
            maps={"boundaries": strength(seen.spatial_map), "motion": strength(seen.motion_map)},
            covers=self._covers(),
        )

    def expected(self) -> Callable[[], Expected] | None:
        """Nothing: its video model looks, and draws no picture."""
        return None

    def _covers(self) -> dict[str, Rectangle]:
        """What part of the picture each map is of, where that is not all of it."""
        shown = {"boundaries": self.network.high.window, "motion": self.network.low.window}
        parts = {
            name: shown_part(self.network.config.resize, self._aspect, window.width_px / window.height_px)
            for name, window in shown.items()
        }
        return {name: part for name, part in parts.items() if part != _WHOLE}


def read_instruction(path: Path) -> EncodedInstruction:
    """An encoded instruction from its file; needs no text encoder. Raises RuntimeFault for a file that cannot be read."""
    try:
        return load_embedding(path)
    except ModelError as error:
        raise RuntimeFault(str(error)) from None


def bits(tokens: torch.Tensor) -> Array:
    """Condition tokens (K, D) of any float type, as bfloat16 on the CPU."""
    return Array("bfloat16", tokens.to(torch.bfloat16).contiguous().view(torch.uint16).cpu().numpy())


def tensor(array: Array) -> torch.Tensor:
    """The tokens (K, D) that `bits` was given, as float32 rounded to bfloat16."""
    return torch.from_numpy(array.values.copy()).view(torch.bfloat16).to(torch.float32)


def strength(of: torch.Tensor) -> Array:
    """A map (h, w) of any scale as uint8, its strongest place 255."""
    scaled = of / of.max().clamp(min=1e-12) * 255
    return Array("uint8", scaled.round().to(torch.uint8).cpu().numpy())


def shown_part(resize: str, aspect: float, window: float) -> Rectangle:
    """What a window of its own aspect shows of a picture.

    Args:
        resize: stretch, crop, letterbox or pad, as the policy's configuration says.
        aspect: Of the picture, width by height.
        window: Of the window, likewise.

    Returns:
        Left, top, width, height as shares of the picture; beyond 0 to 1 where the window shows more than the picture.
    """
    if resize == "stretch":
        return _WHOLE
    wide, high = window / aspect, aspect / window
    if resize == "crop":
        wide, high = min(1.0, wide), min(1.0, high)
    else:  # letterbox, pad: the window shows more than the picture
        wide, high = max(1.0, wide), max(1.0, high)
    return (1 - wide) / 2, (1 - high) / 2, wide, high
