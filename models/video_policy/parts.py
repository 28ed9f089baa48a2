"""The parts of a Video Policy's configuration (config.py): clip, autoencoder, video U-Net, adapter, action network, noise.

Paper: Liang et al., Video Generators are Robot Policies, arXiv 2508.00795. Where it leaves something open the first value is
the default.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from models.config.encoders import Keypoints
from models.config.part import LARGEST_WIDTH, Count, Depth, Part, Pixels, Width, check_divides, check_each
from models.config.policy import CAMERAS
from models.config.source import Source

NORM_GROUPS = 32  # of channels, which diffusers' blocks of Stable Video Diffusion normalise
EXPANSION = 4  # of the channels of the adapter's blocks, from the inner convolution to the output (He et al. 2016)
LEVELS = 4
"""Resolutions of the video U-Net; the five places whose features are read (unet.py) need all of them."""


def check_multiple(what: str, value: int, of: int) -> None:
    """Refuse a number that another does not divide.

    Args:
        what: the name of the number.
        value: the number.
        of: what must divide it.

    Raises:
        ValueError: one line with both.
    """
    if value % of or not value:
        raise ValueError(f"{what}: must be a multiple of {of}, got {value}")


class Clip(Part):
    """The frames that are imagined: one to begin with, then `frames` of each camera (paper, section 5.1)."""

    cameras: tuple[str, ...] = Field(default=CAMERAS, min_length=1, max_length=16)
    height_px: Pixels
    width_px: Pixels
    frames: Count = 8
    """Imagined frames of each camera."""
    stride: int = Field(default=6, ge=0, le=4096)
    """Camera frames from one of them to the next. 6 at 30 Hz: the last is 1.6 s ahead, as in the paper; 0: all show the
    present, the paper's horizon of 0."""
    rate_hz: float = Field(default=30.0, gt=0, le=1000)
    fps: float = Field(default=6.0, ge=0, le=1000)  # added conditioning of the public code
    motion_bucket: float = Field(default=100.0, ge=0, le=1000)  # likewise
    augmentation: float = Field(default=0.02, ge=0, le=1)  # likewise
    """Standard deviation of the noise on the current pictures, of -1..1; the U-Net is given it too."""

    @property
    def length(self) -> int:
        """Frames of the whole clip."""
        return 1 + self.frames * len(self.cameras)


class Autoencoder(Part):
    """Stable Video Diffusion's VAE: it halves a side once between two of its levels."""

    widths: tuple[int, ...] = Field(min_length=1, max_length=8)
    layers: Depth
    latent_channels: Width = 4
    scaling: float = Field(default=0.18215, gt=0, le=1e6)  # the published VAE's scaling_factor

    @model_validator(mode="after")
    def _check(self) -> Self:
        for width in self.widths:
            check_multiple("widths", width, NORM_GROUPS)
        return self

    @property
    def reduction(self) -> int:
        """Pixels along a side of one latent."""
        return 2 ** (len(self.widths) - 1)


class VideoUnet(Part):
    """Stable Video Diffusion's U-Net."""

    widths: tuple[int, int, int, int]
    layers: Depth
    heads: tuple[int, int, int, int]
    text_width: Width
    """Numbers of the pooled text token, which every frame is given."""
    added_width: Width = 256
    """Numbers that each added conditioning is spread over: frames per second, motion bucket, augmentation."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_each("heads", self.heads, 1, min(self.widths))
        for width, heads in zip(self.widths, self.heads, strict=True):
            check_multiple("widths", width, NORM_GROUPS)
            check_divides("heads", heads, "widths", width)
        return self

    @property
    def time_width(self) -> int:
        """Numbers of the noise level's embedding: four times the first level's channels, as in that U-Net."""
        return 4 * self.widths[0]


class Adapter(Part):
    """3-D bottlenecks that bring five levels of features to one vector; all but the last five are a tower for each camera."""

    merged: tuple[int, int]
    """Channels of the two blocks after each of the two coarsest levels joins."""
    narrowed: tuple[int, int]
    """Channels of the last two blocks of a tower."""
    joined: tuple[int, ...] = Field(min_length=1, max_length=16)
    """Channels of the blocks that read all towers together; the last of them halve the frames until one is left."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, widths in (("merged", self.merged), ("narrowed", self.narrowed), ("joined", self.joined)):
            check_each(name, widths, EXPANSION, LARGEST_WIDTH)
            for width in widths:
                check_multiple(name, width, EXPANSION)
        return self


class ClipText(Part):
    """The text tower of CLIP as it is published: its projected token is what every frame is given."""

    kind: Literal["clip"] = "clip"
    width: Width


class Published(Part):
    """Where the weights of a policy's parts were published. A checkpoint holds only those parts that were trained further."""

    video_unet: Source | None = None
    """Stable Video Diffusion in diffusers' layout, its folders `unet` and `vae`."""
    clip_text: Source | None = None
    """CLIP's text tower with its tokenizer, in transformers' layout."""


class ActionNet(Part):
    """The 1-D U-Net that denoises a chunk of joint targets; Diffusion Policy's shape (Chi et al. 2023)."""

    widths: tuple[int, ...] = Field(min_length=2, max_length=8)
    kernel: int = Field(default=5, ge=1, le=31)
    groups: Width = 8
    time_width: Width = 256
    joints: Count = 14  # two arms of six joints and a gripper
    targets: Count = 48
    """In a chunk. 48 at 30 Hz are the paper's 1.6 s."""
    dt_s: float = Field(default=1 / 30, gt=0, le=1)
    frame: Literal["relative", "absolute"] = "relative"
    """relative: targets are counted from the observed joints, as on the paper's real robot; absolute: they are not."""
    eyes: Keypoints | None = None
    """Eyes with which the network also sees the newest pictures and joints; none: it reads System 2's features alone, as in the
    paper."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_multiple("targets", self.targets, 2 ** (len(self.widths) - 1))
        for width in self.widths:
            check_divides("groups", self.groups, "widths", width)
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel: must be odd, got {self.kernel}")
        if self.time_width % 2:
            raise ValueError(f"time_width: must be even, got {self.time_width}")
        return self


class Diffusion(Part):
    """Noise levels in training and sampling, the same for video and actions (Karras et al. 2022).

    Defaults are those of the public code.
    """

    steps: Count
    """Euler steps."""
    largest: float = Field(default=700.0, gt=0, le=1e6)
    smallest: float = Field(default=0.002, gt=0, le=1e6)
    rho: float = Field(default=7.0, gt=0, le=100)
    log_mean: float = Field(default=1.0, ge=-100, le=100)
    """Mean of the logarithm of a noise level in training."""
    log_deviation: float = Field(default=1.6, gt=0, le=100)
    guidance: float = Field(default=2.0, ge=0, le=1000)
    """Of the video; 1: none."""
    action_guidance: float = Field(default=2.0, ge=0, le=1000)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.smallest >= self.largest:
            raise ValueError(f"smallest: must be below largest {self.largest:g}, got {self.smallest:g}")
        return self
