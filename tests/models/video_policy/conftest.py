"""Parts of the tiny Video Policy (tiny_video_policy.py), and what they are given. Called by pytest."""

import pytest
import tiny_video_policy
import torch

from models.video_policy.action_sampler import ActionSampler
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.imagination import Imagination
from models.video_policy.video_model import Given


@pytest.fixture(scope="session")
def tiny() -> VideoPolicyConfig:
    return tiny_video_policy.config()


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
