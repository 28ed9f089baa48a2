"""The token compressor: shapes, and that places, frames and their order reach the tokens.
Called by pytest; features are (B, T, h, w, C)."""

import pytest
import torch
from torch import nn

from models.config.qformer import QFormer
from models.qformer import TokenCompressor, _apart  # pyright: ignore[reportPrivateUsage]

CHANNELS = 12
CONFIG = QFormer(tokens=5, width=32, depth=2, heads=4)


def compressor(temporal: bool) -> TokenCompressor:
    """A compressor from a fixed seed."""
    torch.manual_seed(3)
    return TokenCompressor(CONFIG, CHANNELS, temporal).requires_grad_(False)


def features(batch: int = 1) -> torch.Tensor:
    """Random features of four frames with two rows of three places."""
    return torch.randn((batch, 4, 2, 3, CHANNELS), generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("temporal", [False, True])
@pytest.mark.parametrize(("batch", "frames", "places"), [(1, 2, (2, 3)), (3, 16, (2, 2)), (1, 1, (1, 1))])
def test_any_window_gives_the_configured_tokens(
    temporal: bool, batch: int, frames: int, places: tuple[int, int]
) -> None:
    tokens = compressor(temporal)(torch.randn(batch, frames, *places, CHANNELS))
    assert tokens.shape == (batch, CONFIG.tokens, CONFIG.width)
    assert tokens.isfinite().all()


@pytest.mark.parametrize("temporal", [False, True])
def test_pictures_of_a_batch_do_not_mix(temporal: bool) -> None:
    model, both = compressor(temporal), features(batch=2)
    alone = torch.cat([model(both[:1]), model(both[1:])])
    torch.testing.assert_close(model(both), alone, rtol=0, atol=1e-5)


def test_order_of_the_frames_changes_the_motion_tokens() -> None:
    model, window = compressor(temporal=True), features()
    assert (model(window.flip(1)) - model(window)).abs().max() > 1e-2


def test_order_of_the_places_changes_the_tokens() -> None:
    model, window = compressor(temporal=False), features()
    for axis in (2, 3):
        assert (model(window.flip(axis)) - model(window)).abs().max() > 1e-2


@pytest.mark.parametrize("temporal", [False, True])
def test_with_blocks_a_place_hears_its_frame_and_no_other(temporal: bool) -> None:
    torch.manual_seed(3)
    config = CONFIG.model_copy(update={"blocks": 2})
    model = TokenCompressor(config, CHANNELS, temporal).requires_grad_(False)
    made: list[torch.Tensor] = []
    assert model.around is not None
    model.around.register_forward_hook(lambda _module, _given, found: made.append(found.clone()))  # pyright: ignore
    window = features(batch=2)
    assert model(window).shape == (2, CONFIG.tokens, CONFIG.width)
    window[1, 2, 0, 0, 0] += 1.0  # of one channel: what all have is normalised away
    assert model(window).isfinite().all()
    moved = (made[1] - made[0]).abs().amax(1).unflatten(0, (2, 4)) > 1e-6  # (B, T, h, w)
    assert moved[1, 2].all(), "the whole grid of two rows of three places"
    assert moved.sum() == moved[1, 2].sum()


def test_blocks_need_a_width_of_whole_groups() -> None:
    with pytest.raises(ValueError, match="width: must be a multiple of 8 with blocks, got 12"):
        QFormer(tokens=5, width=12, depth=1, heads=2, blocks=1)


@pytest.mark.parametrize(("frames", "height", "width"), [(2, 6, 8), (16, 4, 4), (16, 32, 48)])
def test_no_two_places_look_alike(frames: int, height: int, width: int) -> None:
    """Not even a frame and a row that are swapped, or the end of a row and the beginning of the next one."""
    reported = _apart(frames, height, width, torch.zeros(1, 128))
    assert reported.shape == (frames, height * width, 128)
    apart = torch.cdist(reported.flatten(0, 1)[:4000], reported.flatten(0, 1)[:4000]).fill_diagonal_(torch.inf)
    assert apart.min() > 1.0
    row_end, next_row, neighbour = reported[0, width - 1], reported[0, width], reported[0, width - 2]
    assert (row_end - next_row).norm() > 1.5 * (row_end - neighbour).norm()


def test_attention_over_time_changes_the_motion_tokens() -> None:
    model, window = compressor(temporal=True), features()
    attended = model(window)
    model.time_attention = None
    assert (model(window) - attended).abs().max() > 1e-2


def test_attention_over_time_stays_at_one_place() -> None:
    model, window = compressor(temporal=True), features()
    assert model.time_attention is not None
    seen: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        seen.append(output)

    model.time_attention.register_forward_hook(keep)
    changed = window.clone()
    changed[0, 2, 1, 0] += torch.randn(CHANNELS)  # one frame of one place
    model(window)
    model(changed)
    places = (seen[0] != seen[1]).flatten(1).any(1)
    assert places.nonzero().flatten().tolist() == [3]
    assert (seen[0][3] != seen[1][3]).any(1).all()  # every frame of that place hears of it


def test_spatial_compressor_has_no_attention_over_time() -> None:
    assert compressor(temporal=False).time_attention is None


def test_queries_differ_from_each_other() -> None:
    tokens = compressor(temporal=False)(features())[0]
    assert torch.pdist(tokens).min() > 1e-2
