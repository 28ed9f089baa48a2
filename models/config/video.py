"""System 2's video model: HunyuanVideo or Wan, its VAE, and the two windows of the head camera that go through it.

Part of a policy's configuration; read by models/backbones, models/window.py and models/system2.py. Section numbers are
Video2Act's; where it leaves something open the first value is the default.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from models.config.part import (
    LARGEST_WIDTH,
    Blocks,
    Count,
    Depth,
    Heads,
    Part,
    Pixels,
    Width,
    check_divides,
    check_each,
)

_VAE_LEVELS = 4  # of both video models' VAEs as diffusers makes them
_LARGEST_LATENT = 1e6  # chosen: published means and spreads are 0.01 to 2, and one that is 0 cannot be divided by
_LEAST_SIDE_PX = {"hunyuan": 16, "wan": 32}  # one token: the VAE's 8 or 16 px a latent, 2 latents a token
_LEAST_WAN_HEAD = 6  # a channel pair each for time, row and column


class Window(Part):
    """One video stream of System 2 (Video2Act, eq. (2)); its `full` sizes are the paper's."""

    frames: Count
    height_px: Pixels
    width_px: Pixels
    stride_s: float = Field(gt=0, le=3600)
    """Time between its frames."""

    @property
    def span_s(self) -> float:
        """Time that its frames stand for, s: each for one stride."""
        return self.frames * self.stride_s


class Hunyuan(Part):
    """HunyuanVideo and its VAE; the paper keeps the first 20 dual-stream and 5 single-stream blocks (appendix B.2).

    Defaults are those of diffusers' configuration of the published model.
    """

    kind: Literal["hunyuan"] = "hunyuan"
    heads: Heads
    head_dim: Width
    rope_axes: tuple[int, int, int]
    dual_blocks: Blocks
    single_blocks: Blocks
    refiner_blocks: Blocks
    text_dim: Width
    pooled_dim: Width
    # embedded, not classifier-free: the default of diffusers' HunyuanVideoPipeline
    guidance: float = Field(default=6.0, ge=0, le=1000)
    vae_channels: tuple[int, ...]
    vae_layers: Depth
    vae_groups: Width
    latent_channels: Width = 16
    latent_scaling: float = Field(default=0.476986, gt=0, le=_LARGEST_LATENT)  # the published VAE's scaling_factor

    @property
    def width(self) -> int:
        """Feature channels of the transformer."""
        return self.heads * self.head_dim

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_each("rope_axes", self.rope_axes, 2, LARGEST_WIDTH)
        if any(axis % 2 for axis in self.rope_axes) or sum(self.rope_axes) != self.head_dim:
            raise ValueError(f"rope_axes: must be even and together head_dim {self.head_dim}, got {self.rope_axes}")
        check_each("vae_channels", self.vae_channels, 1, LARGEST_WIDTH, _VAE_LEVELS)
        for channels in self.vae_channels:
            check_divides("vae_groups", self.vae_groups, "vae_channels", channels)
        return self


class Wan(Part):
    """Wan2.2-TI2V-5B and its VAE; Video2Act's released code keeps the first 20 of 30 blocks.

    Defaults are those of diffusers' configuration of the published model.
    """

    kind: Literal["wan"] = "wan"
    heads: Heads
    head_dim: Width
    blocks: Depth
    feed_forward: Width
    text_dim: Width
    vae_width: Width
    vae_decoder_width: Width
    vae_widths: tuple[int, ...] = (1, 2, 4, 4)
    vae_blocks: Depth = 2
    latent_channels: Width
    latent_mean: tuple[float, ...]
    latent_spread: tuple[float, ...]

    @property
    def width(self) -> int:
        """Feature channels of the transformer."""
        return self.heads * self.head_dim

    @property
    def pooled_dim(self) -> int:
        """0: it reads no pooled text."""
        return 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_each("latent_mean", self.latent_mean, -_LARGEST_LATENT, _LARGEST_LATENT, self.latent_channels)
        check_each("latent_spread", self.latent_spread, 1 / _LARGEST_LATENT, _LARGEST_LATENT, self.latent_channels)
        check_each("vae_widths", self.vae_widths, 1, LARGEST_WIDTH, _VAE_LEVELS)
        if self.head_dim < _LEAST_WAN_HEAD or self.head_dim % 2:
            raise ValueError(f"head_dim: must be even and at least {_LEAST_WAN_HEAD}, got {self.head_dim}")
        return self


class Video(Part):
    """System 2's video model, and the two windows of the head camera that go through it."""

    backbone: Hunyuan | Wan = Field(discriminator="kind")
    encoding: Literal["frames", "causal"] = "frames"
    """frames: encode each frame by itself and keep it; causal: encode each window as a video, four frames per latent."""
    high: Window
    low: Window

    @model_validator(mode="after")
    def _check(self) -> Self:
        least = _LEAST_SIDE_PX[self.backbone.kind]
        for name in ("high", "low"):
            window: Window = getattr(self, name)
            if min(window.height_px, window.width_px) < least:
                raise ValueError(
                    f"{name}: must be at least {least} px high and wide, got {window.height_px} and {window.width_px}"
                )
        return self

    @property
    def latent_frames(self) -> int:
        """Frames of the low window's latents: one each, or encoded as a video the first and one for every four."""
        return self.low.frames if self.encoding == "frames" else 1 + (self.low.frames - 1) // 4
