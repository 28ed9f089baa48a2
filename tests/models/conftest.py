"""Shared by the model tests: one thread, so that bits do not depend on the machine, and a policy of a few thousand weights.
Called by pytest; every network here is the real class at a tiny size."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import tiny_policy
import torch
from numpy.typing import NDArray

from models import normalize
from models.checkpoint import Checkpoint
from models.config.policy import PolicyConfig
from models.config.video import Hunyuan, Wan


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A fixed number of threads and a fixed seed for every test."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny() -> PolicyConfig:
    """The small policy with fewer of everything; all parts are still there."""
    return tiny_policy.configuration()


@pytest.fixture(scope="session")
def hunyuan(tiny: PolicyConfig) -> Hunyuan:
    """The tiny policy's video model."""
    assert isinstance(tiny.video.backbone, Hunyuan)
    return tiny.video.backbone


@pytest.fixture(scope="session")
def wan(tiny: PolicyConfig) -> Wan:
    """The other video model, as tiny."""
    channels = 4
    return Wan(
        heads=2,
        head_dim=16,
        blocks=2,
        feed_forward=48,
        text_dim=tiny.text.width,
        vae_width=8,
        vae_decoder_width=8,
        vae_blocks=1,
        latent_channels=channels,
        latent_mean=(0.1, -0.2, 0.3, 0.0),
        latent_spread=(0.5, 1.0, 2.0, 1.5),
    )


@pytest.fixture(scope="session")
def untrained(tiny: PolicyConfig) -> Callable[[int], Checkpoint]:
    """An untrained tiny policy by its seed."""
    statistics = normalize.untrained(tiny.horizon, np.zeros(tiny.joints), np.full(tiny.joints, 0.5))
    return lambda seed: Checkpoint(tiny, statistics, None, seed)


@pytest.fixture
def pictures() -> Callable[[int, int], list[NDArray[np.uint8]]]:
    """Random pictures (60, 80, 3): count, seed."""

    def make(count: int, seed: int) -> list[NDArray[np.uint8]]:
        random = np.random.default_rng(seed)
        return [random.integers(0, 256, (60, 80, 3), dtype=np.uint8) for _ in range(count)]

    return make
