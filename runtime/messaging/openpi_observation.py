"""What a client saw, read from its packet: pictures by camera, joints, instruction, and targets that are committed already.

Used by the rooms `serving` and `lerobot`. Keys are those of openpi's ALOHA clients: `images` with `cam_high`,
`cam_left_wrist` and `cam_right_wrist`, `state`, `prompt`; the cameras' own names are taken too, and `prefix`, which is ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from runtime.errors import WireError
from runtime.messaging.messages import JOINTS
from runtime.messaging.openpi import ALOHA_CAMERAS

Picture = NDArray[np.uint8]  # (height, width, 3), RGB
_SIDES_PX = (16, 4096)  # of a picture; chosen: what cameras and networks have
_LARGEST = 10.0  # rad and m, of a joint; chosen: three times what any arm here can do
_LONGEST_PROMPT = 1000  # characters, as an Instruction of the bus


@dataclass(frozen=True)
class Seen:
    """One observation in the robot's units: rad, grippers m."""

    pictures: Mapping[str, Picture]  # by camera
    q: NDArray[np.float64]  # (J,)
    prompt: str  # empty: the one before
    prefix: NDArray[np.float64]  # (n, J)


def read(packet: Any, cameras: Sequence[str], targets: int) -> Seen:
    """The observation of a packet.

    Args:
        packet: As it was unpacked.
        cameras: Whose pictures the policy needs.
        targets: In a chunk.

    Returns:
        All that the policy needs, checked.

    Raises:
        WireError: Something is missing or is not what it must be; one line with the remedy.
    """
    if not isinstance(packet, dict):
        raise WireError(f"an observation must be a map, got {type(packet).__name__}; send images, state and prompt")
    given = cast(dict[Any, Any], packet)
    prompt = given.get("prompt", "")
    if not isinstance(prompt, str) or len(prompt) > _LONGEST_PROMPT:
        raise WireError(f"prompt: must be a text of at most {_LONGEST_PROMPT} characters, got {prompt!r:.60}")
    q = _joints("state", given.get("state"), (JOINTS,))
    prefix = given.get("prefix")
    committed = np.zeros((0, JOINTS)) if prefix is None else _joints("prefix", prefix, (None, JOINTS))
    if len(committed) >= targets:
        raise WireError(f"prefix: must have at most {targets - 1} targets, got {len(committed)}")
    return Seen({camera: _picture(given.get("images"), camera) for camera in cameras}, q, prompt.strip(), committed)


def _picture(images: Any, camera: str) -> Picture:
    """A camera's picture (H, W, 3), however its axes lie."""
    usual = ALOHA_CAMERAS.get(camera, camera)
    if not isinstance(images, dict):
        raise WireError(f"images: must be a map of pictures, got {type(images).__name__}; send {usual}")
    pictures = cast(dict[Any, Any], images)
    found = pictures.get(usual, pictures.get(camera))
    if found is None:
        raise WireError(
            f"images: {usual} is missing (got {', '.join(map(str, pictures)) or 'none'}); send it".replace("\n", " ")
        )
    if not isinstance(found, np.ndarray) or found.dtype != np.uint8 or found.ndim != 3:
        kind = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
        raise WireError(f"images: {usual}: must be uint8 (height, width, 3) or (3, height, width), got {kind}")
    picture = cast(Picture, found)
    if picture.shape[2] != 3 and picture.shape[0] == 3:
        picture = picture.transpose(1, 2, 0)
    least, most = _SIDES_PX
    if picture.shape[2] != 3 or not all(least <= side <= most for side in picture.shape[:2]):
        raise WireError(
            f"images: {usual}: must be {least} to {most} px high and wide with 3 colours, got {found.shape}"
        )
    return np.ascontiguousarray(picture)


def _joints(name: str, value: Any, shape: tuple[int | None, ...]) -> NDArray[np.float64]:
    """Joints of all arms, finite and possible."""
    said = f"({', '.join('n' if side is None else str(side) for side in shape)})".replace("(14)", "(14,)")
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu" or value.ndim != len(shape):
        kind = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise WireError(f"{name}: must be numbers {said}, got {kind}")
    if any(wanted is not None and side != wanted for side, wanted in zip(value.shape, shape, strict=True)):
        raise WireError(f"{name}: must be {said}, got {value.shape}; send {JOINTS} joints, left arm first")
    joints = value.astype(np.float64)
    if not np.isfinite(joints).all() or np.abs(joints).max(initial=0.0) > _LARGEST:
        raise WireError(f"{name}: must be finite (limit {_LARGEST:g} rad or m each); send joints in rad, grippers in m")
    return joints
