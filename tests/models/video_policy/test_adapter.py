"""The adapter: what of a clip's features reaches the action network. Called by pytest."""

from typing import Any

import pytest
import torch
from torch import nn

from models.video_policy.adapter import Adapter
from models.video_policy.bottleneck import Bottleneck
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.unet import level_channels

SIZES = ((8, 16), (4, 8), (2, 4), (1, 2), (1, 2))
NOISE = torch.tensor([0.3])


@pytest.fixture
def adapter(tiny: VideoPolicyConfig) -> Adapter:
    torch.manual_seed(5)
    return Adapter(tiny).eval().requires_grad_(False)


@pytest.fixture
def levels(tiny: VideoPolicyConfig) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(6)
    shapes = zip(level_channels(tiny), SIZES, strict=True)
    return [torch.randn((1, channels, tiny.clip.length, *size), generator=random) for channels, size in shapes]


def test_one_vector_a_step(adapter: Adapter, levels: list[torch.Tensor], tiny: VideoPolicyConfig) -> None:
    assert adapter(levels, NOISE).shape == (1, 8 * 1 * 2)
    assert tiny.feature_width == 16


@pytest.mark.parametrize("place", range(5))
def test_every_frame_of_every_place_counts_but_the_padding(
    adapter: Adapter, levels: list[torch.Tensor], place: int
) -> None:
    before = adapter(levels, NOISE)
    for frame in range(7):
        other = [level.clone() for level in levels]
        other[place][:, :, frame] += 1
        assert torch.equal(adapter(other, NOISE), before) == (frame == 0)


def test_the_noise_level_counts(adapter: Adapter, levels: list[torch.Tensor]) -> None:
    assert not torch.allclose(adapter(levels, NOISE), adapter(levels, NOISE + 1), atol=1e-5)


def test_each_camera_has_a_tower_of_its_own(adapter: Adapter, levels: list[torch.Tensor]) -> None:
    """The same frames of all three cameras do not become the same: with one tower for all they would."""
    alike = [torch.cat([level[:, :, :1], *[level[:, :, 1:3]] * 3], dim=2) for level in levels]
    outputs: list[torch.Tensor] = []

    def keep(_module: nn.Module, _given: Any, made: torch.Tensor) -> None:
        outputs.append(made)

    for tower in adapter.towers:
        tower.register_forward_hook(keep)
    adapter(alike, NOISE)
    assert len(outputs) == 3
    assert not torch.allclose(outputs[0], outputs[1], atol=1e-4)
    assert not torch.allclose(outputs[1], outputs[2], atol=1e-4)


def test_a_shortcut_that_halves_reads_every_place() -> None:
    """With what is beside it silenced, the shortcut alone: no place of the input is left out."""
    torch.manual_seed(7)
    block = Bottleneck(4, 32, 6, (2, 2, 2)).requires_grad_(False)
    torch.nn.init.zeros_(block.norm.weight)
    x = torch.randn(1, 4, 2, 2, 2)
    before = block(x, torch.zeros(1, 6))
    for place in range(8):
        other = x.clone()
        other.view(1, 4, 8)[:, :, place] += 1
        assert not torch.equal(block(other, torch.zeros(1, 6)), before)
