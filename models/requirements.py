"""What a checkpoint needs of the robot that runs it: one frozen model, stored beside its weights. No torch.

Read by runtime/policy/fit.py before anything moves. A checkpoint of format 1 has none stored; it gets what held for every
policy then (`needs_of`, by models/identity.py).
"""

from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from models import refusal
from models.config.part import Part
from models.config.policy import CAMERAS, JOINT_LAYOUT, PolicyConfig
from models.config.qformer import QFormer
from models.errors import ModelError


class PictureSize(Part):
    """The size of every camera's pictures."""

    width_px: int = Field(ge=1)
    height_px: int = Field(ge=1)
    exact: bool = False
    """The policy takes no other size; else only the shape must agree, and it brings pictures to size by itself."""


class VideoWindow(Part):
    """Frames of one camera that the slow system looks at."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    camera: str
    frames: int = Field(ge=1, le=4096)  # chosen: 136 s at 30 Hz; more is a slip or a damaged file
    stride_s: float | None = Field(default=None, gt=0)
    """Distance of its frames in time, on a fixed grid of frame numbers; none: the newest frame and earlier ones, as far apart
    as the targets."""


class ConditionArray(Part):
    """One array that the slow system gives and the fast one takes."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    dtype: Literal["bfloat16", "float32", "float16", "float64", "int64", "int32", "uint8"]
    shape: tuple[int, ...] = Field(max_length=4)


class Requirements(Part):
    """What a policy needs of the robot and gives to it; compared with the settings before the arms move."""

    cameras: tuple[str, ...] = Field(default=CAMERAS, min_length=1)
    """Whose pictures the fast system is given, in this order."""
    picture: PictureSize | None = None
    """None: any size."""
    picture_rate_hz: float | None = Field(default=None, gt=0)
    """Least rate of the cameras; none: the nearest picture will do."""
    history_s: tuple[float, ...] = Field(default=(0.0,), min_length=1)
    """Ages of the sets of pictures that a chunk is made of, oldest first; the last is the newest set, 0."""
    windows: tuple[VideoWindow, ...] = ()
    """What the slow system looks at; none: there is no slow system."""
    conditions: tuple[ConditionArray, ...] = Field(default=(), max_length=16)
    """What it gives to the fast one."""
    state_layout: str = JOINT_LAYOUT
    """Order and units of the joints, in state and targets."""
    targets: int = Field(default=64, ge=1, le=128)
    """In a chunk."""
    dt_s: float = Field(default=1 / 30, ge=0.001, le=1)
    """Between two of them; the first is due so long after the newest pictures were taken."""
    target_frame: Literal["absolute", "relative"] = "absolute"
    """relative: targets are counted from the joints that the policy was given."""
    gripper_open_m: float | None = Field(default=None, gt=0)
    """Gripper numbers are shares of this opening; none: they are metres."""

    instruction: Literal["encoded", "text"] = "encoded"
    """encoded: as the policy's text encoder made it; text: as the operator wrote it."""
    prefix: bool = True
    """Whether a chunk begins with the targets that are committed already."""

    @property
    def duration_s(self) -> float:
        """Time from the pictures to a chunk's last target, s."""
        return self.targets * self.dt_s

    @model_validator(mode="after")
    def _check(self) -> Self:
        ages = self.history_s
        if ages[-1] != 0 or list(ages) != sorted(ages, reverse=True):
            raise ValueError(f"history_s: must fall to 0 (the newest set), got {ages}")
        if bool(self.windows) != bool(self.conditions):
            raise ValueError("windows need conditions and conditions need windows; give both or neither")
        for what, names in (("windows", self.windows), ("conditions", self.conditions)):
            if len({part.name for part in names}) != len(names):
                raise ValueError(f"{what}: two have the same name; rename one")
        return self


def needs_of(config: PolicyConfig) -> Requirements:
    """The requirements of a Video2Act policy. Raises ModelError for one that no runtime could serve."""
    video = config.video
    values = {
        "cameras": config.cameras,
        "history_s": (config.history_offset_s, 0.0),
        "windows": (
            {"name": "high", "camera": "head", "frames": video.high.frames},
            {"name": "low", "camera": "head", "frames": video.low.frames, "stride_s": video.low.stride_s},
        ),
        "conditions": (_tokens("spatial", config.spatial_former), _tokens("motion", config.motion_former)),
        "state_layout": config.joint_layout,
        "targets": config.horizon,
        "dt_s": config.dt_s,
    }
    try:
        return Requirements.model_validate(values)
    except ValidationError as error:
        said = refusal.line(error, Requirements, values, refusal.place_of, in_json=True)
        raise ModelError(
            f"policy {config.name}: {said}; train it with other settings, or give another policy"
        ) from None


def _tokens(name: str, former: QFormer) -> dict[str, Any]:
    """As a ConditionArray is written."""
    return {"name": name, "dtype": "bfloat16", "shape": (former.tokens, former.width)}
