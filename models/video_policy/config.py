"""The choices that make a Video Policy; its sizes are in sizes.py, its parts in parts.py. Read by every file of this folder."""

import hashlib
from typing import Annotated, Self

from pydantic import Field, model_validator

from models.config.encoders import Text
from models.config.part import Part
from models.config.policy import JOINT_LAYOUT
from models.video_policy.parts import (
    LEVELS,
    NORM_GROUPS,
    ActionNet,
    Adapter,
    Autoencoder,
    Clip,
    ClipText,
    Diffusion,
    Published,
    VideoUnet,
    check_multiple,
)

_HALVINGS = LEVELS - 1  # of a latent's sides, in the U-Net and in the adapter
_LEAST_GROUP = 4
"""Numbers of one frame in one norm group of the U-Net. Chosen: of one number a norm leaves nothing, of two only a sign."""


class VideoPolicyConfig(Part):
    """Everything that fixes the networks of a Video Policy."""

    name: str = Field(pattern=r"^[\x20-\x7e]*$", max_length=64)
    clip: Clip
    autoencoder: Autoencoder
    unet: VideoUnet
    adapter: Adapter
    action: ActionNet
    diffusion: Diffusion
    text: Annotated[Text | ClipText, Field(discriminator="kind")]
    published: Published = Published()

    @property
    def joint_layout(self) -> str:
        """Order and units of the joints, in state and targets."""
        return JOINT_LAYOUT

    @property
    def has_published(self) -> bool:
        """Whether the video model's weights were published, in half precision."""
        return self.published.video_unet is not None

    def digest(self) -> str:
        """16 hexadecimal digits of a hash of every value."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """c, h, w of one frame's latent."""
        one = self.autoencoder.reduction
        return self.autoencoder.latent_channels, self.clip.height_px // one, self.clip.width_px // one

    @property
    def feature_width(self) -> int:
        """Numbers that the action network is given of one denoising step."""
        _, height, width = self.latent_shape
        return self.adapter.joined[-1] * (height >> _HALVINGS) * (width >> _HALVINGS)

    @property
    def feature_sets(self) -> int:
        """Vectors of one denoising step: a second one, without pictures and text, where actions are guided."""
        return 1 if self.diffusion.action_guidance == 1 else 2

    @model_validator(mode="after")
    def _check(self) -> Self:
        multiple = self.autoencoder.reduction << _HALVINGS
        for name in ("height_px", "width_px"):
            check_multiple(f"clip.{name}", getattr(self.clip, name), multiple)
        self._check_groups()
        self._check_text()
        halvings = self.clip.frames.bit_length() - 1
        if self.clip.frames != 2**halvings or halvings > len(self.adapter.joined):
            most = 2 ** len(self.adapter.joined)
            raise ValueError(f"clip.frames: must be a power of 2 up to {most}, got {self.clip.frames}")
        return self

    def _check_text(self) -> None:
        if self.text.width != self.unet.text_width:
            raise ValueError(f"text.width: must be unet.text_width {self.unet.text_width}, got {self.text.width}")
        if self.text.kind == "t5":
            raise ValueError("text.kind: must be byt5 or clip, got t5")
        if self.text.kind == "clip" and self.published.clip_text is None:
            raise ValueError("text.kind clip: needs published.clip_text, the folder or repository of CLIP's text tower")

    def _check_groups(self) -> None:
        """Every level's norm groups must be large enough: small pictures leave the coarsest a single place."""
        _, height, width = self.latent_shape
        for level, channels in enumerate(self.unet.widths):
            rows, columns = height >> level, width >> level
            least = NORM_GROUPS * -(-_LEAST_GROUP // (rows * columns))
            if channels < least:
                raise ValueError(
                    f"unet.widths: level {level + 1} of {rows} x {columns} needs {least} channels, got {channels}"
                )
