"""What both systems' processes see of the cameras: recent notices, the rings, and the choice of frames.
Used by both systems' processes and steps, and by the virtual clock. Changes nothing but its own notices.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.messaging import messages
from runtime.messaging.frame_ring import FrameRing
from runtime.policy.fit import KEPT_FRAMES

FrameSet = tuple[messages.Frame, ...]  # one notice a camera, in the policy's order


class PictureSource(Protocol):
    """Gives the pixels that a frame number stands for: the live rings, or a session."""

    def __call__(self, camera: str, number: int) -> NDArray[np.uint8] | None:
        """The picture (H, W, 3) uint8 RGB of a camera's frame, or None when the frame is gone."""
        ...


class RingPictures:
    """Pixels out of the shared-memory rings of a run's folder; attaches to each ring when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rings: dict[str, FrameRing] = {}

    def __call__(self, camera: str, number: int) -> NDArray[np.uint8] | None:
        ring = self._rings.get(camera)
        if ring is None:
            try:
                ring = self._rings[camera] = FrameRing.attach(self._folder / f"{camera}.ring")
            except FileNotFoundError:
                return None
        stored = ring.read(number)
        return None if stored is None else stored.pixels


class History:
    """The newest KEPT_FRAMES notices of each camera, oldest first."""

    def __init__(self, cameras: Sequence[str]) -> None:
        self.notices: dict[str, deque[messages.Frame]] = {camera: deque(maxlen=KEPT_FRAMES) for camera in cameras}

    def frames(self) -> dict[str, tuple[messages.Frame, ...]]:
        """A copy of what is noted now, by camera, oldest first."""
        return {camera: tuple(notices) for camera, notices in self.notices.items()}

    def add(self, notice: messages.Message) -> None:
        """Note a new frame of one of its cameras; the oldest one goes. Frames must come in the order of their numbers."""
        assert isinstance(notice, messages.Frame)
        self.notices[notice.camera].append(notice)


def nearest_set(notices: Mapping[str, Sequence[messages.Frame]], capture_ns: int) -> FrameSet:
    """The set of frames nearest a moment.

    Args:
        notices: By camera, oldest first; each camera must have one.
        capture_ns: The moment, as capture times count.

    Returns:
        One notice a camera, in the order of `notices`.
    """
    return tuple(_nearest(frames, capture_ns) for frames in notices.values())


def _nearest(frames: Sequence[messages.Frame], capture_ns: int) -> messages.Frame:
    """The notice nearest a moment, searched from the newest on: what is asked for is seldom old."""
    best = frames[-1]
    for frame in reversed(frames):
        if abs(frame.capture_ns - capture_ns) < abs(best.capture_ns - capture_ns):
            best = frame
        if frame.capture_ns <= capture_ns:
            break
    return best


def newest_set(notices: Mapping[str, Sequence[messages.Frame]]) -> FrameSet:
    """The newest frames that belong together: of each camera the one nearest the oldest of the cameras' newest frames.

    Args:
        notices: By camera, oldest first.

    Returns:
        One notice a camera, in the order of `notices`; empty while a camera has none.
    """
    if any(not frames for frames in notices.values()):
        return ()
    oldest_newest_ns = min(frames[-1].capture_ns for frames in notices.values())
    return nearest_set(notices, oldest_newest_ns)


def skew_ns(frames: Sequence[messages.Frame]) -> int:
    """The largest difference between the capture times of a set, ns."""
    captures = [frame.capture_ns for frame in frames]
    return max(captures) - min(captures)
