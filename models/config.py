"""Sizes and choices of a policy. `small` and `full` are the same code with other numbers; a checkpoint stores one of these.

The choices are the paper's; where it leaves something open the first value is the default (ARCHITECTURE.md, table).
"""

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

CAMERAS = ("head", "left_wrist", "right_wrist")


class Part(BaseModel):
    """Every group of model settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Window(Part):
    """One video stream of System 2 (paper Eq. 2)."""

    frames: int
    height_px: int
    width_px: int
    stride_s: float = Field(gt=0)
    """Distance of its frames in time."""

    @property
    def span_s(self) -> float:
        """How far back it looks."""
        return self.frames * self.stride_s


class Video(Part):
    """The video diffusion model and its VAE (HunyuanVideo's classes)."""

    heads: int
    head_dim: int
    rope_axes: tuple[int, int, int]
    dual_blocks: int
    single_blocks: int
    refiner_blocks: int
    text_dim: int
    pooled_dim: int
    guidance: float = 6.0
    vae_channels: tuple[int, ...]
    vae_layers: int
    vae_groups: int
    latent_channels: int = 16
    latent_scaling: float = 0.476986
    high: Window
    low: Window

    @property
    def width(self) -> int:
        """Feature channels of the transformer."""
        return self.heads * self.head_dim


class Filters(Part):
    """What is taken from the features (paper Eq. 3); no learnable weight in it."""

    spatial: Literal["sobel", "scharr", "laplacian", "none"] = "sobel"
    motion: Literal["fft", "none"] = "fft"
    low_bin: int = Field(default=1, ge=0)
    """First frequency bin kept by the high-pass; 1 drops only the mean."""
    high_bin: int | None = None
    """Last bin kept; none keeps all up to half the frame rate."""


class QFormer(Part):
    """The token compressor, one for each branch."""

    tokens: int = 224
    width: int = 512
    depth: int = 3
    heads: int = 8


class ImageEncoder(Part):
    """System 1's eyes: a SigLIP, or a convolutional keypoint encoder that learns from scratch."""

    kind: Literal["siglip", "keypoints"]
    image_px: int
    width: int
    depth: int
    heads: int
    patch_px: int


class Text(Part):
    """The instruction's encoder: T5 on ByT5's byte tokens, which need no vocabulary file."""

    width: int
    depth: int
    heads: int
    feed_forward: int
    max_tokens: int


class Head(Part):
    """The action diffusion transformer (RDT-1B's shape)."""

    width: int
    depth: int
    heads: int
    steps: int = 5
    """Denoising steps of DPM-Solver++."""
    train_steps: int = 1000
    prediction: Literal["sample", "epsilon"] = "sample"


class PolicyConfig(Part):
    """Everything that fixes the networks and what their numbers mean."""

    name: str
    video: Video
    filters: Filters = Filters()
    spatial_former: QFormer
    motion_former: QFormer
    image: ImageEncoder
    text: Text
    head: Head
    joints: int = 14
    horizon: int = 64
    dt_s: float = 1 / 30
    history_offset_s: float = Field(default=1 / 30, ge=0)
    """How much older the first set of the image history is (paper 4.2.1: two frames)."""
    control_hz: float = 30
    cameras: tuple[str, ...] = CAMERAS
    colour_order: Literal["RGB"] = "RGB"
    resize: Literal["crop", "letterbox", "stretch"] = "crop"
    joint_layout: str = "left j1..j6, left gripper, right j1..j6, right gripper; rad, m"
    action_source: Literal["next_puppet", "master"] = "next_puppet"

    def digest(self) -> str:
        """A short hash of every value."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


def small() -> PolicyConfig:
    """A few million weights: runs on two CPU cores beside the simulator."""
    return PolicyConfig(
        name="small",
        video=Video(
            heads=4,
            head_dim=48,
            rope_axes=(8, 20, 20),
            dual_blocks=4,
            single_blocks=2,
            refiner_blocks=1,
            text_dim=64,
            pooled_dim=64,
            vae_channels=(8, 16, 16, 16),
            vae_layers=1,
            vae_groups=8,
            high=Window(frames=2, height_px=96, width_px=144, stride_s=1 / 30),
            low=Window(frames=16, height_px=64, width_px=64, stride_s=0.1),
        ),
        spatial_former=QFormer(tokens=32, width=128, depth=2, heads=4),
        motion_former=QFormer(tokens=32, width=128, depth=2, heads=4),
        image=ImageEncoder(kind="siglip", image_px=96, width=128, depth=4, heads=4, patch_px=16),
        text=Text(width=64, depth=2, heads=4, feed_forward=128, max_tokens=128),
        head=Head(width=192, depth=4, heads=4),
    )


def by_name(name: str) -> PolicyConfig:
    """The size called `name`."""
    return {"small": small}[name]()
