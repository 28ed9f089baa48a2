"""What System 1 sees and reads with: SigLIP or keypoints for its cameras, a T5 for the instruction.

Part of a policy's configuration; read by models/encoders and models/system1.py. Section numbers are Video2Act's.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from models.config.part import (
    LARGEST_WIDTH,
    NORM_GROUPS,
    Count,
    Depth,
    Heads,
    Part,
    Pixels,
    Width,
    check_divides,
    check_each,
)


class Siglip(Part):
    """System 1's eyes as in the paper (section 3.2.1): SigLIP's vision model, the same for every camera."""

    kind: Literal["siglip"] = "siglip"
    image_px: Pixels
    width: Width
    depth: Depth
    heads: Heads
    patch_px: Width
    feed_forward: Width

    @property
    def tokens(self) -> int:
        """Tokens of one picture: one a patch."""
        return (self.image_px // self.patch_px) ** 2

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_divides("heads", self.heads, "width", self.width)
        if self.patch_px > self.image_px:
            raise ValueError(f"patch_px: must be at most image_px {self.image_px}, got {self.patch_px}")
        return self


class Keypoints(Part):
    """System 1's eyes of `small`: convolutions and a spatial softmax for each camera; learns from scratch on little data."""

    kind: Literal["keypoints"] = "keypoints"
    image_px: Pixels
    width: Width
    """Numbers of a token."""
    points: Count = 32  # Levine et al. 2016
    channels: tuple[int, int] = (32, 64)
    """Channels of the two convolutions (receptive field 16x16 px, stride 4 px)."""
    blocks: int = Field(default=0, ge=0, le=64)
    """Residual blocks at half the resolution of the heat maps; 0: none. They see 48x48 px and more, and normalise
    what they see (models/shipped/README.md)."""
    grid: int = Field(default=4, ge=1, le=64)
    """N: also N x N averages of image patches."""

    @property
    def tokens(self) -> int:
        """Tokens of one picture: all keypoints in one, then one a patch."""
        return 1 + self.grid**2

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_each("channels", self.channels, 1, LARGEST_WIDTH)
        if self.blocks and self.image_px % 8:  # the maps' size, a quarter, is halved
            raise ValueError(f"image_px: must be a multiple of 8 with blocks, got {self.image_px}")
        if self.blocks and self.channels[1] % NORM_GROUPS:
            raise ValueError(
                f"channels: the second must be a multiple of {NORM_GROUPS} with blocks, got {self.channels[1]}"
            )
        return self


class Text(Part):
    """The instruction's encoder for System 1: a T5 as in the paper (section 3.2.1), published, or small and of our own."""

    width: Width
    depth: Depth
    heads: Heads
    feed_forward: Width
    max_tokens: Width
    kind: Literal["byt5", "t5"] = "byt5"
    """byt5: byte tokens without a vocabulary file; t5: the published T5 with its tokenizer."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.heads > self.width:
            raise ValueError(f"heads: must be at most width {self.width}, got {self.heads}")
        return self
