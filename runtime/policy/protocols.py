"""The seam between the runtime and a policy: what its slow and its fast system are given, and what they give.

The steps of both systems (runtime/systems) know a policy by these alone; Video2Act is one implementation (video2act.py).
Legend: J the robot's joints in its own order, rad, grippers m; H targets in a chunk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.requirements import Requirements
from runtime.messaging.array_field import Array
from runtime.messaging.messages import Rectangle

Picture = NDArray[np.uint8]  # (height, width, 3) RGB, as the camera gave it
Joints = NDArray[np.float64]  # (J,) or (n, J)
EncodedInstruction = object  # as the policy's text encoder made it; only the policy looks inside
SetKey = tuple[int, ...]  # numbers of the frames of one set of pictures, a camera each


@dataclass(frozen=True)
class Observation:
    """What a chunk is made of."""

    sets: tuple[SetKey, ...]
    """Sets of pictures, each encoded before (`encode_images`), as old as `needs.history_s` says; the newest last."""
    q: Joints
    """(J,) measured, in the units of `needs`."""
    instruction: EncodedInstruction
    conditions: Mapping[str, Array] | None
    """What the slow system gave last, by the names of `needs.conditions`; None where there is no slow system."""
    conditions_age_s: float
    """Since the newest frame that the conditions saw."""
    prefix: Joints
    """(n, J), n < H: targets that are committed already; the chunk begins with them. In the units of `needs`."""
    noise_seed: int
    """The same seed and inputs give the same bits."""


@dataclass(frozen=True)
class Understanding:
    """What the slow system made of its windows."""

    arrays: Mapping[str, Array]
    """By the names, dtypes and shapes of `needs.conditions`."""
    maps: Mapping[str, Array] = field(default_factory=dict[str, Array])
    """For people: (h, w) uint8, where in the head picture it comes from, 255 the strongest."""
    covers: Mapping[str, Rectangle] = field(default_factory=dict[str, Rectangle])
    """Which part of that picture a map is of; all of it where nothing is said."""


class FastPolicy(Protocol):
    """System 1 of a policy: pictures, joints, instruction and conditions in, a chunk of joint targets out."""

    @property
    def needs(self) -> Requirements:
        """What it takes and gives."""
        ...

    @property
    def weights(self) -> int:
        """How many numbers it learnt."""
        ...

    def has_images(self, key: SetKey) -> bool:
        """Whether that very set is encoded and still at hand."""
        ...

    def prepare_images(self, pictures: tuple[Picture, ...]) -> object:
        """One set's pictures, a camera of `needs.cameras` each, as `encode_images` takes them."""
        ...

    def encode_images(self, key: SetKey, prepared: object) -> None:
        """Encode a set and keep it for a few chunks. The bits do not depend on when that happens."""
        ...

    def clear(self) -> None:
        """Forget all pictures: frame numbers begin anew."""
        ...

    def foresee(self, conditions: Mapping[str, Array]) -> None:
        """New conditions came: whatever can be made of them before the next chunk."""
        ...

    def predict_chunk(self, observation: Observation) -> NDArray[np.float32]:
        """(H, J) targets in the units of `needs`; H is `needs.targets`, `needs.dt_s` apart."""
        ...


class SlowPolicy(Protocol):
    """System 2 of a policy: windows of video in, conditions out."""

    @property
    def needs(self) -> Requirements:
        """What it looks at and gives."""
        ...

    @property
    def weights(self) -> int:
        """How many numbers it learnt."""
        ...

    def has_frame(self, window: str, number: int) -> bool:
        """Whether a frame is encoded for a window and still at hand."""
        ...

    def encode_frame(self, window: str, number: int, picture: Picture) -> None:
        """Encode one frame of a window's camera, and keep it as long as the window may need it."""
        ...

    def clear(self) -> None:
        """Forget all frames: their numbers begin anew."""
        ...

    def encode_video(self, windows: Mapping[str, Sequence[int]], instruction: EncodedInstruction) -> Understanding:
        """Conditions of all windows, each given by the numbers of encoded frames, oldest first."""
        ...
