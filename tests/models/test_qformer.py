"""The token compressor: shapes, and that places, frames and their order reach the tokens.
Called by pytest; features are (B, T, N, C)."""

import pytest
import torch
from torch import nn

from models.config import QFormer
from models.qformer import TokenCompressor

CHANNELS = 12
CONFIG = QFormer(tokens=5, width=32, depth=2, heads=4)


def compressor(temporal: bool) -> TokenCompressor:
    """A compressor from a fixed seed."""
    torch.manual_seed(3)
    return TokenCompressor(CONFIG, CHANNELS, temporal).requires_grad_(False)


def features(batch: int = 1) -> torch.Tensor:
    """Random features of four frames with six places."""
    return torch.randn((batch, 4, 6, CHANNELS), generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("temporal", [False, True])
@pytest.mark.parametrize(("batch", "frames", "places"), [(1, 2, 6), (3, 16, 4), (1, 1, 1)])
def test_any_window_gives_the_configured_tokens(temporal: bool, batch: int, frames: int, places: int) -> None:
    tokens = compressor(temporal)(torch.randn(batch, frames, places, CHANNELS))
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
    assert (model(window.flip(2)) - model(window)).abs().max() > 1e-2


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
    changed[0, 2, 3] += torch.randn(CHANNELS)  # one frame of one place
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
