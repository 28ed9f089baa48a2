"""The layers that are explained, as rows: what they are called, and which picture each lies on.
Called by explained_session.py.
"""

from dataclasses import dataclass

from models.config.policy import PolicyConfig
from models.explanation import Explanation
from models.grad_cam import Rectangle
from models.images import Resize
from runtime.explanation.figures import Map
from runtime.explanation.recorded import Frames
from runtime.messaging import messages
from runtime.policy.video2act import shown_part

_WINDOWS = {"high": "short", "low": "long"}  # what people call them


@dataclass(frozen=True)
class Layer:
    """One layer at one moment."""

    name: str
    about: tuple[str, ...]
    """What else stands beside its row."""
    map: Map
    """(h, w) on its grid."""
    before: Map | None
    """That of pictures one frame older."""
    frame: messages.Frame
    """The picture that the map is of."""
    resize: Resize
    aspect: float
    """Width by height of what the network sees of it."""

    def part(self, aspect: float) -> Rectangle:
        """What part of a picture of this aspect the network sees."""
        return shown_part(self.resize, aspect, self.aspect)


def layers(config: PolicyConfig, frames: Frames, found: Explanation, before: Explanation | None) -> list[Layer]:
    """All layers of a moment, System 1's eyes first.

    Args:
        config: Of the policy.
        frames: The pictures.
        found: Their maps.
        before: The maps of pictures one frame older; None: they are lost.
    """
    return [*_eyes(config, frames, found, before), *_video(config, frames, found, before)]


def _eyes(config: PolicyConfig, frames: Frames, found: Explanation, before: Explanation | None) -> list[Layer]:
    newest = {frame.camera: frame for frame in frames.sets[-1]}
    return [
        Layer(
            f"eyes {camera}",
            ("System 1", _grid(found_there)),
            found_there,
            None if before is None else before.eyes[camera],
            newest[camera],
            config.eyes_resize,
            1.0,
        )
        for camera, found_there in found.eyes.items()
    ]


def _video(config: PolicyConfig, frames: Frames, found: Explanation, before: Explanation | None) -> list[Layer]:
    rows: list[Layer] = []
    for branch, found_there in found.video.items():
        window = config.video.high if branch.window == "high" else config.video.low
        span = f"{window.frames} frames, {window.span_s:.2g} s"
        about = ("System 2", span, _grid(found_there), *(("own gradients",) if branch.below_filter else ()))
        name, frame = f"video {_WINDOWS[branch.window]} {branch.name}", frames.windows[branch.window][-1]
        earlier = None if before is None else before.video[branch]
        rows.append(Layer(name, about, found_there, earlier, frame, config.resize, window.width_px / window.height_px))
    return rows


def _grid(found: Map) -> str:
    height, width = found.shape
    return f"{width} x {height} places"
