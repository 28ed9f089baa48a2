"""The choices that make a policy; a checkpoint stores one of these. The sizes there are: models/sizes.py.

Read by every module that makes a network and by runtime/config. The choices are Video2Act's, and section numbers its; where it
leaves something open the first value is the default.
"""

import hashlib
import re
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from models.config.encoders import Keypoints, Siglip, Text
from models.config.filters import Filters
from models.config.head import Head
from models.config.part import Count, Part, check_divides
from models.config.qformer import QFormer
from models.config.source import Published
from models.config.video import Video

CAMERAS = ("head", "left_wrist", "right_wrist")
_PRINTABLE = r"^[\x20-\x7e]*$"  # what is printed in lines of text must not begin another
JOINT_LAYOUT = "left j1..j6, left gripper, right j1..j6, right gripper; rad, m"

_LATER = (  # fields that earlier checkpoints do not know, each as the path to it from the policy's configuration
    "image_resize",
    "targets",
    "image.blocks",
    "head.norm",
    "head.guess_blend",
    "spatial_former.scaled",
    "motion_former.scaled",
    "spatial_former.blocks",
    "motion_former.blocks",
    "published.transformer",
    "filters.border",
    "filters.laplacian",
    "filters.root_floor",
)


class PolicyConfig(Part):
    """Everything that fixes a policy's networks and what the numbers in and out mean; `config.json` of a checkpoint."""

    name: str = Field(pattern=_PRINTABLE, max_length=64)
    video: Video
    filters: Filters = Filters()
    spatial_former: QFormer
    motion_former: QFormer
    image: Siglip | Keypoints = Field(discriminator="kind")
    text: Text
    head: Head
    joints: Count = 14  # two arms of six joints and a gripper
    horizon: Count = 64  # targets in a chunk: H of Video2Act, section 4.2.2
    dt_s: float = Field(default=1 / 30, gt=0, le=1)  # the rate of cameras and demonstrations (Video2Act, table 3)
    history_offset_s: float = Field(default=1 / 30, ge=0, le=3600)
    """How much older the first set of the image history is: one frame, as RDT-1B was trained; the paper does not say."""
    # what the head is told of its targets' rate, as RDT-1B is: 1 / dt_s
    control_hz: float = Field(default=30, gt=0, le=1000)
    published: Published = Published()
    cameras: tuple[str, ...] = Field(default=CAMERAS, min_length=1, max_length=16)
    colour_order: Literal["RGB"] = "RGB"
    resize: Literal["crop", "letterbox", "stretch", "pad"] = "crop"
    """How frames are resized for System 2's windows and System 1's image encoder."""
    image_resize: Literal["crop", "letterbox", "stretch", "pad"] | None = None
    """Resizing for System 1's image encoder alone; pad: the whole frame on grey, as RDT-1B uses SigLIP."""
    targets: Literal["relative", "physical"] = "relative"
    """relative: targets relative to the present joints, scaled by their spread in the demonstrations.
    physical: absolute targets in rad, grippers as a share of their full opening, as in RDT-1B."""
    joint_layout: str = Field(default=JOINT_LAYOUT, pattern=_PRINTABLE, max_length=200)
    action_source: Literal["next_puppet", "master"] = "next_puppet"
    """What a demonstration's targets are: where the follower arm was next (appendix A.3), or what the leader commanded."""
    inputs: Literal["all", "no_video", "no_head", "wrists", "blind"] = "all"
    """Inputs of System 1, for ablations. all: all of them; no_video: without System 2's tokens; no_head: without the head
    camera; wrists: only the wrist cameras; blind: neither tokens nor images."""

    @property
    def eyes_resize(self) -> Literal["crop", "letterbox", "stretch", "pad"]:
        """`image_resize`, or `resize` where it is not set."""
        return self.image_resize or self.resize

    @property
    def has_published(self) -> bool:
        """Whether the video model's weights were published, in half precision."""
        return self.published.video is not None

    @property
    def hears_video(self) -> bool:
        """Whether System 1 is given System 2's tokens."""
        return self.inputs in ("all", "no_head")

    @property
    def unseen(self) -> tuple[int, ...]:
        """Indices of the cameras whose pictures System 1 is given black."""
        first = {"blind": len(self.cameras), "no_head": 1, "wrists": 1}
        return tuple(range(first.get(self.inputs, 0)))

    @model_validator(mode="after")
    def _check(self) -> Self:
        places, width = self.head.joint_places, self.head.action_width
        if self.head.guess_width and (self.image.kind != "keypoints" or self.head.prediction != "sample"):
            raise ValueError("head.guess_width: needs image.kind keypoints and head.prediction sample")
        check_divides("head.token_targets", self.head.token_targets, "the horizon", self.horizon)
        if self.head.guess_width and self.head.guess_blend > self.horizon:
            raise ValueError(
                f"head.guess_blend: must be at most the horizon {self.horizon}, got {self.head.guess_blend}"
            )
        if self.text.kind == "t5" and self.published.text is None:
            raise ValueError("text.kind t5: needs published.text, the folder or repository of a T5 with its tokenizer")
        if self.published.transformer is not None and self.published.video is None:
            raise ValueError("published.transformer: needs published.video, whose VAE and text encoder go with it")
        if len(set(places)) != self.joints or not all(0 <= place < width for place in places):
            raise ValueError(
                f"head.joint_places: must be {self.joints} different places below {width}, got {f'{places}':.200}"
            )
        self._check_cameras()
        self._check_band()
        return self

    def _check_cameras(self) -> None:
        if not all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) for name in self.cameras):
            raise ValueError(f"cameras: must be names of letters, digits, _ . -, got {f'{self.cameras}':.80}")
        if len(set(self.cameras)) != len(self.cameras):
            raise ValueError(f"cameras: must be different, got {', '.join(self.cameras):.80}")

    def _check_band(self) -> None:
        """The motion filter's bins must be there: a window of T frames has 0 to T // 2."""
        chosen, highest = self.filters, self.video.latent_frames // 2
        if chosen.motion == "none" or chosen.low_hz is not None or chosen.high_hz is not None:
            return
        first, last = chosen.low_bin, highest if chosen.high_bin is None else chosen.high_bin
        if not first <= last <= highest:
            name = "low_bin" if first > min(last, highest) else "high_bin"
            raise ValueError(
                f"filters.{name}: bins must be 0 to {highest} for {self.video.latent_frames} latent frames, "
                f"got {first} to {last}"
            )

    def digest(self) -> str:
        """16 hexadecimal digits of a hash of every value. Fields that earlier versions lack count only where not at default."""
        return hashlib.sha256(self.model_dump_json(exclude=self._unknown_before()).encode()).hexdigest()[:16]

    def _unknown_before(self) -> dict[str, Any]:
        """Those of `_LATER` that are at their default, nested as pydantic leaves fields out."""
        left_out: dict[str, Any] = {}
        for path in _LATER:
            *parts, name = path.split(".")
            owner: Any = self
            for part in parts:
                owner = getattr(owner, part)
            known = type(owner).model_fields
            if name in known and getattr(owner, name) == known[name].default:
                inner = left_out
                for part in parts:
                    inner = inner.setdefault(part, {})
                inner[name] = True
        return left_out
