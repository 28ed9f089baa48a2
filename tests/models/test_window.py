"""The frame grid, the widest gap, and the ring of latents over a real (tiny) video autoencoder.
Called by pytest."""

import pytest
import torch

from models.backbones.hunyuan import HunyuanBackbone
from models.config.policy import PolicyConfig
from models.config.video import Hunyuan
from models.errors import ModelError
from models.window import FrameTime, LatentRing, grid_frames, widest_gap_ns


@pytest.fixture
def backbone(hunyuan: Hunyuan) -> HunyuanBackbone:
    """A tiny Hunyuan without gradients."""
    return HunyuanBackbone(hunyuan).eval().requires_grad_(False)


@pytest.fixture
def ring(tiny: PolicyConfig, backbone: HunyuanBackbone) -> LatentRing:
    """A ring of the low stream that keeps three frames."""
    return LatentRing(backbone.encode, tiny.video.low, "frames", keep=3)


def frame(seed: int) -> torch.Tensor:
    """A picture (1, 3, 32, 32) in -1..1."""
    return torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_grid_ends_at_the_newest_frame_on_the_grid() -> None:
    assert grid_frames(newest=23, stride=5, count=4) == [5, 10, 15, 20]


def test_grid_includes_a_newest_frame_that_is_on_it() -> None:
    assert grid_frames(newest=20, stride=5, count=2) == [15, 20]


def test_grid_moves_by_whole_strides_only() -> None:
    windows = {tuple(grid_frames(newest, 4, 3)) for newest in range(40, 48)}
    assert windows == {(32, 36, 40), (36, 40, 44)}


def test_grid_of_stride_one_is_the_newest_frames() -> None:
    assert grid_frames(newest=7, stride=1, count=3) == [5, 6, 7]


def test_widest_gap_is_the_largest_step() -> None:
    frames = [FrameTime(1, 10), FrameTime(2, 40), FrameTime(3, 130), FrameTime(4, 150)]
    assert widest_gap_ns(frames) == 90


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_frames_have_no_gap(count: int) -> None:
    assert widest_gap_ns([FrameTime(1, 10)] * count) == 0


def test_cached_latents_equal_encoding_each_frame_alone(ring: LatentRing, backbone: HunyuanBackbone) -> None:
    for number in (4, 5, 6):
        ring.encode(number, frame(number))
    latents = ring.window_latents([4, 5, 6])
    for index, number in enumerate((4, 5, 6)):
        assert torch.equal(latents[:, :, index : index + 1], backbone.encode(frame(number).unsqueeze(2)))


def test_window_keeps_the_order_asked_for(ring: LatentRing) -> None:
    for number in (2, 1):
        ring.encode(number, frame(number))
    assert torch.equal(ring.window_latents([1, 2]), ring.window_latents([2, 1]).flip(2))
    assert not torch.equal(ring.window_latents([1]), ring.window_latents([2]))


def test_frame_that_is_there_is_not_encoded_again(ring: LatentRing) -> None:
    ring.encode(1, frame(1))
    before = ring.window_latents([1])
    ring.encode(1, frame(2))
    assert torch.equal(ring.window_latents([1]), before)


def test_missing_frame_is_named(ring: LatentRing) -> None:
    ring.encode(1, frame(1))
    with pytest.raises(ModelError, match="frame 77 was not encoded"):
        ring.window_latents([1, 77])


def test_oldest_frame_is_dropped_when_the_ring_is_full(ring: LatentRing) -> None:
    for number in (1, 2, 3, 4):
        ring.encode(number, frame(number))
    assert [number in ring for number in (1, 2, 3, 4)] == [False, True, True, True]


def test_a_frame_that_was_asked_for_is_dropped_last(ring: LatentRing) -> None:
    """A window's frames are asked for one by one, and encoded where they are missing: none may push out another."""
    for number in (1, 2, 3):
        ring.encode(number, frame(number))
    assert 1 in ring
    ring.encode(4, frame(4))
    assert [number in ring for number in (1, 2, 3, 4)] == [True, False, True, True]


def test_clear_forgets_every_frame(ring: LatentRing) -> None:
    ring.encode(1, frame(1))
    ring.clear()
    assert 1 not in ring


def test_picture_of_another_size_is_refused(ring: LatentRing) -> None:
    with pytest.raises(ModelError, match="window: expected 32x32"):
        ring.encode(1, torch.zeros(1, 3, 32, 48))
    assert 1 not in ring


def test_a_causal_window_is_encoded_as_one_video(tiny: PolicyConfig, backbone: HunyuanBackbone) -> None:
    """Nine frames give three latents: the first alone, then one for each four (the VAE's factor in time)."""
    ring = LatentRing(backbone.encode, tiny.video.low, "causal", keep=9)
    for number in range(9):
        ring.encode(number, frame(number))
    video = torch.stack([frame(number) for number in range(9)], dim=2)
    latents = ring.window_latents(range(9))
    assert latents.shape[2] == 3
    assert torch.equal(latents, backbone.encode(video))


def test_batched_encoding_stays_within_a_thousandth(backbone: HunyuanBackbone) -> None:
    """Encoding frames as one batch is another order of sums: close, not equal, so the ring never does it."""
    alone = torch.cat([backbone.encode(frame(number).unsqueeze(2)) for number in range(4)])
    together = backbone.encode(torch.cat([frame(number) for number in range(4)]).unsqueeze(2))
    assert (alone - together).abs().max() <= 1e-3 * alone.abs().max()
