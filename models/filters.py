"""Spatial and motion filters on the video model's features, without learnable weights (Video2Act, section 3.2.2, eq. (3)).

Called by System 2 (models/system2.py) between the video model and the Q-formers, or before both on latents.
Legend: B batch, T frames, H W feature grid, C channels. Features are (B, T, H, W, C).
"""

import math
from typing import Literal

import torch
from torch.nn import functional

from models.config.filters import Filters
from models.errors import ModelError

# First-order kernels differentiate along x; their transposes along y. Not normalised, as in the paper.
_SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))  # S_x of Video2Act, section 3.2.2
_SCHARR = ((-3.0, 0.0, 3.0), (-10.0, 0.0, 10.0), (-3.0, 0.0, 3.0))  # Scharr 2000; compared in Video2Act, appendix B.1
_ROUNDING = 1e-9  # bins; a limit in Hz that falls on a bin counts, though its product with span_s is some 1e-16 off
_LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))  # second differences along x and y; appendix B.1


def spatial(features: torch.Tensor, filters: Filters) -> torch.Tensor:
    """Boundaries in every frame and channel: S = sqrt(Gx^2 + Gy^2) (Video2Act, section 3.2.2), or the Laplacian.

    Args:
        features: (B, T, H, W, C), any float dtype; computed in at least float32.
        filters: `spatial` names the kernel, `border` what lies beyond the picture, `laplacian` and `root_floor` how boundaries
            are measured; `none` gives the features back as they are.

    Returns:
        (B, T, H, W, C) in the features' dtype and unit; negative only for the signed Laplacian.
    """
    if filters.spatial == "none":
        return features
    exact = features.to(torch.promote_types(features.dtype, torch.float32))
    if filters.spatial == "laplacian":
        second = _convolve(exact, exact.new_tensor(_LAPLACIAN), filters.border)
        return (second if filters.laplacian == "signed" else second.abs()).to(features.dtype)
    kernel = exact.new_tensor(_SOBEL if filters.spatial == "sobel" else _SCHARR)
    along_x, along_y = (_convolve(exact, k, filters.border) for k in (kernel, kernel.T))
    squared = along_x.square() + along_y.square() + filters.root_floor
    some = squared > 0  # where nothing changes a square root has no derivative, which joint training would meet
    return torch.where(some, squared.where(some, 1.0).sqrt(), 0.0).to(features.dtype)


def motion(features: torch.Tensor, filters: Filters, span_s: float) -> torch.Tensor:
    """Temporal high-pass M: a DFT over T, the bins of the mask B kept, and back (Video2Act, section 3.2.2).

    The mask keeps bins and their mirror images, so the inverse is real by itself (the paper takes its real part).

    Args:
        features: (B, T, H, W, C), any float dtype; computed in float32. The DFT takes the window as one period.
        filters: `motion` and the band, in bins or in Hz; `none` gives the features back as they are.
        span_s: T times the distance of two frames in s, what the band in Hz is counted by.

    Returns:
        (B, T, H, W, C) in the features' dtype; mean 0 over T unless bin 0 is kept.

    Raises:
        ModelError: the mask keeps no bin.
    """
    if filters.motion == "none":
        return features
    first, last = band(filters, features.shape[1], span_s)
    spectrum = torch.fft.rfft(features.to(torch.float32), dim=1)
    kept = torch.zeros_like(spectrum)
    kept[:, first : last + 1] = spectrum[:, first : last + 1]
    return torch.fft.irfft(kept, n=features.shape[1], dim=1).to(features.dtype)


def band(filters: Filters, frames: int, span_s: float) -> tuple[int, int]:
    """The bins that the motion filter keeps; bin k is k / span_s Hz.

    Args:
        filters: the band, either `low_bin` and `high_bin` or `low_hz` and `high_hz`.
        frames: T, which has bins 0 to T // 2 of its own; those above mirror them.
        span_s: what the frames cover, s.

    Returns:
        First and last bin, both kept.

    Raises:
        ModelError: the band holds no bin of so many frames.
    """
    highest = frames // 2
    if filters.low_hz is None and filters.high_hz is None:
        first, last = filters.low_bin, highest if filters.high_bin is None else filters.high_bin
        if not 0 <= first <= last <= highest:
            raise ModelError(f"motion filter: bins must be 0 to {highest} for {frames} frames, got {first} to {last}")
        return first, last
    first = math.ceil((filters.low_hz or 0.0) * span_s - _ROUNDING)
    last = highest if filters.high_hz is None else min(highest, math.floor(filters.high_hz * span_s + _ROUNDING))
    if first > last:
        raise ModelError(
            f"motion filter: {filters.low_hz} to {filters.high_hz} Hz holds none of the frequencies of {frames} frames: "
            f"multiples of {1 / span_s:.2f} Hz up to {highest / span_s:.2f} Hz"
        )
    return first, last


def _convolve(features: torch.Tensor, kernel: torch.Tensor, border: Literal["replicate", "zeros"]) -> torch.Tensor:
    """Depthwise 3x3 correlation (B, T, H, W, C) -> the same shape: no channel and no frame sees another."""
    batch, frames, height, width, channels = features.shape
    planes = features.permute(0, 1, 4, 2, 3).reshape(batch * frames * channels, 1, height, width)
    padded = functional.pad(planes, (1, 1, 1, 1), mode="replicate" if border == "replicate" else "constant")
    filtered = functional.conv2d(padded, kernel.contiguous()[None, None])
    return filtered.reshape(batch, frames, channels, height, width).permute(0, 1, 3, 4, 2)
