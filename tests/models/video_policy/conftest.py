"""A Video Policy of diffusers' own classes at a tiny size: two frames of each of three cameras, three steps.
Called by pytest."""

import pytest
import torch

from models.video_policy.action_sampler import ActionSampler
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.imagination import Imagination
from models.video_policy.parts import ActionNet, Adapter, Autoencoder, Clip, Diffusion, VideoUnet
from models.video_policy.video_model import Given


@pytest.fixture(scope="session")
def tiny() -> VideoPolicyConfig:
    """Every level of the U-Net has other channels, and a latent is wider than high: nothing can be mistaken for another."""
    return VideoPolicyConfig(
        name="tiny",
        clip=Clip(height_px=16, width_px=32, frames=2),
        autoencoder=Autoencoder(widths=(32, 32), layers=1),
        unet=VideoUnet(widths=(32, 64, 96, 128), layers=1, heads=(1, 2, 3, 4), text_width=12, added_width=8),
        adapter=Adapter(merged=(16, 12), narrowed=(12, 8), joined=(16, 12, 8)),
        action=ActionNet(widths=(16, 24, 32), time_width=16, targets=8),
        diffusion=Diffusion(steps=3),
    )


@pytest.fixture
def imagination(tiny: VideoPolicyConfig) -> Imagination:
    torch.manual_seed(1)
    return Imagination(tiny).eval()


@pytest.fixture
def sampler(tiny: VideoPolicyConfig) -> ActionSampler:
    torch.manual_seed(2)
    return ActionSampler(tiny).eval()


@pytest.fixture
def given(tiny: VideoPolicyConfig) -> Given:
    """Latents of three pictures, and a text, for two clips."""
    random = torch.Generator().manual_seed(3)
    current = torch.randn((2, 3, *tiny.latent_shape), generator=random)
    return Given(current, torch.randn((2, 1, tiny.unet.text_width), generator=random))


@pytest.fixture
def noise(tiny: VideoPolicyConfig) -> torch.Tensor:
    """For two clips."""
    return torch.randn((2, tiny.clip.length, *tiny.latent_shape), generator=torch.Generator().manual_seed(4))
