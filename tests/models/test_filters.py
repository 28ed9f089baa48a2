"""The filters against SciPy and against the paper's own sums (3.2.2), written out term by term.
Called by pytest; legend B T H W C as in models/filters.py."""

import cmath
import math
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from models import filters
from models.config.filters import Filters
from models.errors import ModelError
from models.sizes import full_wan


def random_features(*shape: int) -> torch.Tensor:
    """Features with an offset, as real ones have."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 3


def scipy_planes(features: torch.Tensor, name: str, beyond: str = "nearest", floor: float = 0.0) -> NDArray[np.float64]:
    """The filter of every plane by SciPy, `beyond` the border nearest or constant (0); Scharr's kernel it does not have."""
    out = np.empty(features.shape)
    scharr = np.array([[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]])
    for batch, frame, channel in np.ndindex(features.shape[0], features.shape[1], features.shape[4]):
        plane = features[batch, frame, :, :, channel].numpy()
        if name == "laplacian":
            result = ndimage.laplace(plane, mode=beyond)
        elif name == "sobel":
            gx, gy = ndimage.sobel(plane, 0, mode=beyond), ndimage.sobel(plane, 1, mode=beyond)
            result = np.sqrt(gx**2 + gy**2 + floor)
        else:
            gx, gy = (ndimage.correlate(plane, kernel, mode=beyond) for kernel in (scharr, scharr.T))
            result = np.sqrt(gx**2 + gy**2 + floor)
        out[batch, frame, :, :, channel] = result
    return out


SPAN_S = 1.6
RELEASED = full_wan().filters


def paper_motion(series: list[float], low: int, high: int) -> list[float]:
    """M of paper 3.2.2 for one place and channel; series runs from the oldest to the newest frame, tau backwards."""
    count = len(series)
    newest_first = series[::-1]  # F_{t - tau}
    bins = {k for k in range(count) if low <= min(k, count - k) <= high}  # the mask and its mirror
    spectrum = [
        sum(newest_first[tau] * cmath.exp(-2j * math.pi * k * tau / count) for tau in range(count))
        for k in range(count)
    ]
    filtered = [
        (sum(spectrum[k] * cmath.exp(2j * math.pi * k * tau / count) for k in bins) / count).real
        for tau in range(count)
    ]
    return filtered[::-1]


@pytest.mark.parametrize("name", ["sobel", "scharr", "laplacian"])
def test_spatial_filter_equals_scipy_in_every_channel(name: Literal["sobel", "scharr", "laplacian"]) -> None:
    features = random_features(2, 2, 5, 7, 3)
    ours = filters.spatial(features, Filters(spatial=name)).numpy()
    np.testing.assert_allclose(ours, scipy_planes(features, name), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["sobel", "scharr", "laplacian"])
def test_the_released_codes_filter_equals_scipy_with_zeros_beyond_the_border(
    name: Literal["sobel", "scharr", "laplacian"],
) -> None:
    """Its roots have 1e-6 under them, and its Laplacian no sign."""
    features = random_features(2, 2, 5, 7, 3)
    ours = filters.spatial(features, RELEASED.model_copy(update={"spatial": name})).numpy()
    theirs = np.abs(scipy_planes(features, name, "constant", 1e-6))
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)
    assert ours.min() >= 0


@pytest.mark.parametrize(
    ("name", "corner", "edge", "middle"),
    [("sobel", math.sqrt(18), 4.0, 1e-3), ("scharr", math.sqrt(2) * 13, 16.0, 1e-3), ("laplacian", 2.0, 1.0, 0.0)],
)
def test_zeros_beyond_the_border_make_a_flat_pictures_border_a_boundary(
    name: Literal["sobel", "scharr", "laplacian"], corner: float, edge: float, middle: float
) -> None:
    """Ones, 3 x 3, by hand: in a corner 2 + 1 of Sobel's weights find a neighbour in each direction, 10 + 3 of Scharr's."""
    flat = torch.ones((1, 1, 3, 3, 1), dtype=torch.float64)
    found = filters.spatial(flat, RELEASED.model_copy(update={"spatial": name})).reshape(3, 3)
    expected = torch.tensor([[corner, edge, corner], [edge, middle, edge], [corner, edge, corner]])
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=1e-6)


def test_a_laplacian_without_sign_is_the_signed_ones_magnitude() -> None:
    features = random_features(1, 2, 4, 5, 3)
    signed = filters.spatial(features, Filters(spatial="laplacian"))
    assert signed.min() < 0
    assert torch.equal(filters.spatial(features, Filters(spatial="laplacian", laplacian="absolute")), signed.abs())


@pytest.mark.parametrize("chosen", [Filters(), Filters(spatial="laplacian")], ids=["sobel", "laplacian"])
def test_a_spatial_filter_of_bfloat16_is_rounded_once(chosen: Filters) -> None:
    """Small differences of large features would be lost were sums rounded on the way, as they are not in the released code."""
    features = random_features(1, 1, 8, 8, 4).to(torch.bfloat16)
    exact = filters.spatial(features.double(), chosen)
    assert torch.equal(filters.spatial(features, chosen), exact.to(torch.bfloat16))


@pytest.mark.parametrize("name", ["sobel", "scharr", "laplacian"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_spatial_filter_has_a_derivative_everywhere(
    name: Literal["sobel", "scharr", "laplacian"], dtype: torch.dtype
) -> None:
    """Joint training reaches the video model through it, over flat parts of a picture too."""
    features = torch.zeros(1, 2, 4, 5, 3, dtype=dtype)
    features[:, :, :, 4:] = 1.0
    features.requires_grad_(True)
    filters.spatial(features, Filters(spatial=name)).square().sum().backward()
    assert features.grad is not None and torch.isfinite(features.grad).all()
    assert features.grad.abs().max() > 0


@pytest.mark.parametrize("name", ["sobel", "scharr", "laplacian"])
def test_spatial_filter_finds_no_boundary_in_a_flat_picture(name: Literal["sobel", "scharr", "laplacian"]) -> None:
    flat = torch.full((1, 1, 4, 4, 2), 7.0)
    assert filters.spatial(flat, Filters(spatial=name)).abs().max() == 0


def test_spatial_filter_does_not_mix_channels_or_frames() -> None:
    features = random_features(1, 2, 4, 5, 3)
    before = filters.spatial(features, Filters())
    features[0, 1, :, :, 2] += random_features(4, 5)
    changed = (filters.spatial(features, Filters()) != before).flatten(2, 3).any(2)[0]
    assert changed.nonzero().tolist() == [[1, 2]]


@pytest.mark.parametrize("frames", [5, 8])
@pytest.mark.parametrize("bins", [(1, None), (0, None), (2, None), (1, 1), (0, 1), (2, 2)])
def test_motion_filter_equals_the_papers_sums(frames: int, bins: tuple[int, int | None]) -> None:
    features = random_features(1, frames, 1, 2, 2).to(torch.float32)
    ours = filters.motion(features, Filters(low_bin=bins[0], high_bin=bins[1]), SPAN_S)
    last = frames // 2 if bins[1] is None else bins[1]
    for place, channel in np.ndindex(2, 2):
        expected = paper_motion(features[0, :, 0, place, channel].tolist(), bins[0], last)
        np.testing.assert_allclose(ours[0, :, 0, place, channel].numpy(), expected, atol=1e-5)


def test_the_released_codes_band_drops_the_mean_and_the_fastest_of_16_latent_frames() -> None:
    """Bins 1 to 7 of 16: what alternates from frame to frame, bin 8, falls away too."""
    features = random_features(1, 16, 1, 2, 2).to(torch.float32)
    ours = filters.motion(features, RELEASED, SPAN_S)
    for place, channel in np.ndindex(2, 2):
        expected = paper_motion(features[0, :, 0, place, channel].tolist(), 1, 7)
        np.testing.assert_allclose(ours[0, :, 0, place, channel].numpy(), expected, atol=1e-5)
    alternating = torch.tensor([1.0, -1.0]).repeat(8).reshape(1, 16, 1, 1, 1)
    assert filters.motion(alternating + 5, RELEASED, SPAN_S).abs().max() < 1e-5
    assert filters.motion(alternating + 5, Filters(), SPAN_S).abs().max() > 0.99


def test_motion_filter_gives_nothing_for_a_constant_scene() -> None:
    still = random_features(1, 1, 3, 3, 4).to(torch.float32).expand(1, 16, 3, 3, 4)
    assert filters.motion(still, Filters(), SPAN_S).abs().max() < 1e-5


def test_motion_filter_with_all_bins_gives_the_features_back() -> None:
    features = random_features(1, 16, 2, 2, 3).to(torch.float32)
    torch.testing.assert_close(filters.motion(features, Filters(low_bin=0), SPAN_S), features, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
def test_filters_keep_shape_and_type(kind: torch.dtype) -> None:
    features = random_features(1, 4, 3, 3, 2).to(kind)
    for filtered in (filters.spatial(features, Filters()), filters.motion(features, Filters(), SPAN_S)):
        assert filtered.shape == features.shape
        assert filtered.dtype == kind


@pytest.mark.parametrize("bins", [(3, 2), (5, None), (1, 5)])
def test_motion_mask_that_does_not_fit_is_named(bins: tuple[int, int | None]) -> None:
    last = 4 if bins[1] is None else bins[1]
    with pytest.raises(ModelError, match=rf"bins must be 0 to 4 for 8 frames, got {bins[0]} to {last}"):
        filters.motion(random_features(1, 8, 1, 1, 1), Filters(low_bin=bins[0], high_bin=bins[1]), SPAN_S)


def test_negative_mask_is_refused_by_the_configuration() -> None:
    with pytest.raises(ValueError, match="low_bin"):
        Filters(low_bin=-1)


def test_none_passes_the_features_through() -> None:
    features = random_features(1, 4, 3, 3, 2)
    assert filters.spatial(features, Filters(spatial="none")) is features
    assert filters.motion(features, Filters(motion="none"), SPAN_S) is features


@pytest.mark.parametrize(
    ("low_hz", "high_hz", "expected"),
    [
        (0.0, None, (0, 8)),
        (0.5, None, (1, 8)),
        (0.625, 2.5, (1, 4)),
        (1.3, 3.0, (3, 4)),
        (None, 1.25, (0, 2)),
        (4.9, 99.0, (8, 8)),
    ],
)
def test_a_band_in_hz_keeps_the_bins_inside_it(
    low_hz: float | None, high_hz: float | None, expected: tuple[int, int]
) -> None:
    """Sixteen frames in 1.6 s: bins are multiples of 0.625 Hz up to 5 Hz."""
    assert filters.band(Filters(low_hz=low_hz, high_hz=high_hz), 16, SPAN_S) == expected


def test_a_sine_inside_the_band_passes_and_one_outside_does_not() -> None:
    time = torch.arange(16) * 0.1
    slow, fast = (torch.sin(2 * torch.pi * hz * time).reshape(1, 16, 1, 1, 1) for hz in (0.625, 3.125))
    kept = filters.motion(slow + fast, Filters(low_hz=2.0), SPAN_S)
    torch.testing.assert_close(kept, fast, rtol=0, atol=1e-5)


def test_a_band_between_two_bins_is_named() -> None:
    with pytest.raises(ModelError, match=r"0\.7 to 1\.2 Hz.*0\.62 Hz"):
        filters.band(Filters(low_hz=0.7, high_hz=1.2), 16, SPAN_S)


def test_a_band_is_given_in_one_way_only() -> None:
    with pytest.raises(ValueError, match="not both"):
        Filters(low_bin=2, low_hz=1.0)
