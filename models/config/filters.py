"""What is taken from the video model's features: the spatial filter and the motion filter (Video2Act, eq. (3)).

Part of a policy's configuration; read by models/filters.py. Where the paper leaves something open the first value is the
default.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from models.config.part import Part


class Filters(Part):
    """What is taken from the features (Video2Act, eq. (3)); no learnable weight in it."""

    spatial: Literal["sobel", "scharr", "laplacian", "none"] = "sobel"
    border: Literal["replicate", "zeros"] = "replicate"
    """What the spatial filter sees beyond the border. replicate: the outermost features again, so that the border is no
    edge; zeros: nothing, so that it is an edge (released code). The paper does not say."""
    laplacian: Literal["signed", "absolute"] = "signed"
    """Whether the Laplacian keeps its sign, or only its magnitude, as Sobel and Scharr do (released code)."""
    root_floor: float = Field(default=0.0, ge=0, le=1e6)
    """Added to Gx^2 + Gy^2 under the root of Sobel and Scharr; 1e-6 in the released code, 0 in the paper."""
    motion: Literal["fft", "none"] = "fft"
    place: Literal["features", "latents"] = "features"
    """Where the filters act: on the blocks' features (Video2Act, eq. (3)), or on the latents that go into the blocks (released
    code)."""
    low_bin: int = Field(default=1, ge=0, le=4096)
    """First frequency bin kept by the high-pass; 1 drops only the mean."""
    high_bin: int | None = Field(default=None, ge=0, le=4096)
    """Last bin kept; none keeps all up to half the frame rate."""
    low_hz: float | None = Field(default=None, ge=0, le=1e6)
    """The band in Hz instead of bins, which does not depend on the window's length."""
    high_hz: float | None = Field(default=None, gt=0, le=1e6)

    @model_validator(mode="after")
    def _check(self) -> Self:
        by_hz = self.low_hz is not None or self.high_hz is not None
        if by_hz and (self.low_bin != 1 or self.high_bin is not None):
            raise ValueError("give the motion band as low_bin and high_bin, or as low_hz and high_hz, not both")
        return self
