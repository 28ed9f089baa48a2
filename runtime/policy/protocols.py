"""The seam between the runtime and a policy: what its slow and its fast system are given, and what they give.
The steps of both systems (runtime/systems) call a policy through it and know nothing else of one.

Video2Act is one implementation (video2act.py); networks.py makes the one that a checkpoint asks for.
Legend: J the robot's joints in its own order, rad, grippers m; H targets in a chunk.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.requirements import Requirements
from runtime.errors import RuntimeFault
from runtime.messaging.array_field import Array
from runtime.messaging.messages import Rectangle

Picture = NDArray[np.uint8]  # (height, width, 3) RGB, as the camera gave it
Joints = NDArray[np.float64]  # (J,) or (n, J)
EncodedInstruction = (
    object  # as the policy's text encoder made it, or a text (`needs.instruction`); only the policy reads it
)
SetKey = tuple[int, ...]  # numbers of the frames of one set of pictures, a camera each


class NoChunk(RuntimeFault):
    """A policy has no chunk for an observation: System 1 skips it, for the reason that this says."""


class Refused(NoChunk):
    """It has none for this very observation: to ask again would be of no use."""


@dataclass(frozen=True)
class Observation:
    """What a chunk is made of; joints are in the units that `needs` asks for (units.py)."""

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
    """What the slow system made of its windows: arrays for the fast one, maps for people."""

    arrays: Mapping[str, Array]
    """By the names, dtypes and shapes of `needs.conditions`."""
    maps: Mapping[str, Array] = field(default_factory=dict[str, Array])
    """For people: (h, w) uint8, where in the head picture it comes from, 255 the strongest."""
    covers: Mapping[str, Rectangle] = field(default_factory=dict[str, Rectangle])
    """Which part of that picture a map is of; all of it where nothing is said."""


@dataclass(frozen=True)
class Expected:
    """What the slow system expects to see, for people: small pictures of one camera."""

    camera: str
    seen: Picture
    """(h, w, 3), what the camera showed when it was asked, as small as the others."""
    pictures: tuple[Picture, ...]
    """(h, w, 3) each, the next first."""
    apart_s: float
    """Between two of them, and from what was seen to the first."""


class FastPolicy(Protocol):
    """System 1 of a policy: pictures, joints, instruction and conditions in, a chunk of joint targets out.

    Called by one thread. Sets of pictures are known by their frame numbers, windows of video by names.
    """

    @property
    def needs(self) -> Requirements:
        """What it takes and gives: cameras, history, units, conditions, chunk length. Does not change."""
        ...

    @property
    def weights(self) -> int:
        """How many numbers it learnt; for the log."""
        ...

    def has_images(self, key: SetKey) -> bool:
        """Whether that very set is encoded and still kept."""
        ...

    def prepare_images(self, pictures: tuple[Picture, ...]) -> object:
        """Bring one set's pictures to what `encode_images` takes.

        Args:
            pictures: One (height, width, 3) uint8 RGB a camera, in the order of `needs.cameras`.

        Returns:
            Whatever the policy's own encoder takes.
        """
        ...

    def encode_images(self, key: SetKey, prepared: object) -> None:
        """Encode a set and keep it for a few chunks. The bits do not depend on when that happens.

        Args:
            key: Frame numbers, a camera each.
            prepared: Of `prepare_images`; not read where the set is kept already.
        """
        ...

    def clear(self) -> None:
        """Forget all pictures, as when frame numbers begin again."""
        ...

    def instruct(self, instruction: EncodedInstruction) -> None:
        """Make whatever can be made of a new instruction before chunks ask for it; may take a second. Changes no chunk."""
        ...

    def foresee(self, conditions: Mapping[str, Array]) -> None:
        """Make whatever can be made of new conditions before the next chunk asks for it. Changes no chunk."""
        ...

    def predict_chunk(self, observation: Observation) -> NDArray[np.float32]:
        """A chunk of joint targets. The same observation gives the same bits.

        Args:
            observation: Its sets are encoded already.

        Returns:
            (H, J) float32 in the units of `needs`; H is `needs.targets`, or fewer where the policy is a server's; `needs.dt_s`
            apart, the first due one of these after the newest pictures.

        Raises:
            NoChunk: There is none this time. Networks that run here always have one.
        """
        ...


class SlowPolicy(Protocol):
    """System 2 of a policy: windows of video in, conditions out. Called by one thread."""

    @property
    def needs(self) -> Requirements:
        """What it looks at and gives: windows, and the names, dtypes and shapes of its conditions. Does not change."""
        ...

    @property
    def weights(self) -> int:
        """How many numbers it learnt; for the log."""
        ...

    def has_frame(self, window: str, number: int) -> bool:
        """Whether a frame is encoded for a window and still kept."""
        ...

    def encode_frame(self, window: str, number: int, picture: Picture) -> None:
        """Encode one frame of a window's camera, and keep it as long as the window may need it.

        Args:
            window: A name of `needs.windows`.
            number: The frame's.
            picture: (height, width, 3) uint8 RGB.
        """
        ...

    def clear(self) -> None:
        """Forget all frames, as when their numbers begin again."""
        ...

    def encode_video(self, windows: Mapping[str, Sequence[int]], instruction: EncodedInstruction) -> Understanding:
        """Conditions of all windows.

        Args:
            windows: By name of `needs.windows`, the numbers of frames that are encoded already, oldest first.
            instruction: As the policy's text encoder made it.

        Returns:
            Arrays as `needs.conditions` says, and maps.
        """
        ...

    def expected(self) -> Callable[[], Expected] | None:
        """Draws what it expects to see after its last conditions; None: it imagines nothing.

        Drawing may take a while. It changes nothing, and may be done in another thread, also after the next conditions.
        """
        ...
