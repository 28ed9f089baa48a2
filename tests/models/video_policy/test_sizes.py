"""The full size counted without weights, the shapes that its networks give, and what a configuration refuses.
Called by pytest."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from models.video_policy.action_sampler import ActionSampler
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.imagination import Imagination
from models.video_policy.sizes import SIZES, full, small


def millions(network: nn.Module) -> float:
    return sum(weight.numel() for weight in network.parameters()) / 1e6


@pytest.fixture(scope="module")
def hollow() -> tuple[Imagination, ActionSampler]:
    """Both systems at full size on the meta device: shapes without numbers."""
    with torch.device("meta"):
        return Imagination(full()).to("meta"), ActionSampler(full())  # diffusers makes its mixing factors on the CPU


def test_the_full_size_has_the_papers_weights(hollow: tuple[Imagination, ActionSampler]) -> None:
    """The U-Net is diffusers' class, so it agrees to the last weight. Of the adapter the public facts leave open how a shortcut
    halves: with all places read it is 209.7 million, with every other one 179.8 million."""
    imagination, sampler = hollow
    assert millions(imagination.video.network) == pytest.approx(1524.623, abs=0.001)
    assert millions(imagination.adapter) == pytest.approx(206, rel=0.02)
    assert millions(sampler) == pytest.approx(161, rel=0.02)


def test_the_full_sizes_five_places_and_its_features(hollow: tuple[Imagination, ActionSampler]) -> None:
    imagination, _ = hollow
    with torch.device("meta"):
        entry, text, noise = torch.zeros(1, 25, 8, 32, 32), torch.zeros(1, 1, 1024), torch.zeros(1)
    output, places = imagination.video.network(entry, noise, text)
    assert output.shape == (1, 25, 4, 32, 32)
    assert [(place.shape[1], *place.shape[2:]) for place in places] == [
        (320, 25, 32, 32), (640, 25, 16, 16), (1280, 25, 8, 8), (1280, 25, 4, 4), (1280, 25, 4, 4),
    ]  # fmt: skip
    assert imagination.adapter(places, noise).shape == (1, 6720)
    assert full().feature_width == 6720


@pytest.mark.parametrize(
    ("part", "field", "value", "message"),
    [
        ("clip", "height_px", 250, "clip.height_px: must be a multiple of 64, got 250"),
        ("clip", "frames", 6, "clip.frames: must be a power of 2 up to 32, got 6"),
        ("clip", "frames", 64, "clip.frames: must be a power of 2 up to 32, got 64"),
        ("unet", "widths", (32, 32, 64, 130), "widths: must be a multiple of 32, got 130"),
        ("unet", "heads", (5, 10, 20, 21), "heads: must divide widths 1280, got 21"),
        ("unet", "widths", (32, 32, 64, 64), "unet.widths: level 4 of 1 x 1 needs 128 channels, got 64"),
        ("autoencoder", "widths", (128, 250), "widths: must be a multiple of 32, got 250"),
        ("adapter", "joined", (1280, 421), "joined: must be a multiple of 4, got 421"),
        ("action", "targets", 50, "targets: must be a multiple of 4, got 50"),
        ("action", "kernel", 4, "kernel: must be odd, got 4"),
        ("diffusion", "smallest", 700.0, "smallest: must be below largest 700, got 700"),
    ],
)
def test_what_cannot_be_built_is_refused(part: str, field: str, value: object, message: str) -> None:
    values = (small() if field == "widths" and part == "unet" else full()).model_dump()
    values[part][field] = value
    with pytest.raises(ValidationError, match=message):
        VideoPolicyConfig.model_validate(values)


def test_a_configuration_is_the_same_after_json() -> None:
    for name, make in SIZES.items():
        assert make().name == name
        assert VideoPolicyConfig.model_validate_json(make().model_dump_json()) == make()
