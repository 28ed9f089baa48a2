"""The frames of a clip: which camera's each is, how far ahead it lies, and which current picture goes with it.

Called by video_model.py and whoever cuts clips out of demonstrations. Legend: B batch, K cameras, T frames of a clip.
"""

import torch

from models.video_policy.parts import Clip


def cameras(clip: Clip) -> tuple[int, ...]:
    """Of which camera each frame is.

    Args:
        clip: K cameras with n frames each.

    Returns:
        T = 1 + n K indices: the first frame is the first camera's, as a padding to the 25 frames that the video model was
        trained with; then n of each camera.
    """
    return (0, *(camera for camera in range(len(clip.cameras)) for _ in range(clip.frames)))


def offsets(clip: Clip) -> tuple[int, ...]:
    """How far ahead of the current pictures each frame lies.

    Args:
        clip: its stride.

    Returns:
        T numbers of camera frames: 0 for the padding, then one stride to n strides for each camera. The current picture is
        given, so none of the n shows it again.
    """
    ahead = tuple(clip.stride * (place + 1) for place in range(clip.frames))
    return (0, *ahead * len(clip.cameras))


def times_s(clip: Clip) -> tuple[float, ...]:
    """`offsets` in s after the current pictures."""
    return tuple(offset / clip.rate_hz for offset in offsets(clip))


def beside(clip: Clip, current: torch.Tensor) -> torch.Tensor:
    """The current picture's latent that is concatenated to each frame: its own camera's.

    Args:
        clip: K cameras.
        current: (B, K, c, h, w) latents of the current pictures.

    Returns:
        (B, T, c, h, w).
    """
    return current[:, list(cameras(clip))]


def by_camera(clip: Clip, imagined: torch.Tensor) -> torch.Tensor:
    """A clip without its padding, camera by camera.

    Args:
        clip: K cameras with n frames each.
        imagined: (B, T, ...).

    Returns:
        (B, K, n, ...).
    """
    return imagined[:, 1:].unflatten(1, (len(clip.cameras), clip.frames))
