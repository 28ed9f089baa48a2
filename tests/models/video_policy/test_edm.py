"""Preconditioning at numbers worked out by hand, the sampler on a Gaussian whose flow is known and beside diffusers' own.
Called by pytest."""

import math

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from numpy.typing import NDArray

from models.video_policy import edm
from models.video_policy.parts import Diffusion


@pytest.mark.parametrize(
    ("s", "skip", "out", "entry", "noise"),
    [
        (0.75, 16 / 25, -3 / 5, 4 / 5, -0.0719205),  # s^2 + 1 = (5 / 4)^2; ln 0.75 = -0.287682
        (math.sqrt(3), 1 / 4, -math.sqrt(3) / 2, 1 / 2, 0.1373265),  # s^2 + 1 = 4; ln 3 = 1.098612
        (1.0, 1 / 2, -math.sqrt(2) / 2, math.sqrt(2) / 2, 0.0),
        (math.exp(4), 3.353501e-4, -0.9998323, 0.0183126, 1.0),  # e^8 = 2980.958
    ],
)
def test_factors_are_the_formulas(s: float, skip: float, out: float, entry: float, noise: float) -> None:
    found = edm.scalings(torch.tensor([s], dtype=torch.float64))
    values = [part.item() for part in (found.skip, found.out, found.entry, found.noise)]
    np.testing.assert_allclose(values, [skip, out, entry, noise], rtol=1e-5, atol=1e-7)


def test_a_noisy_sample_has_variance_one_where_the_network_reads_it() -> None:
    s = torch.tensor([0.002, 0.75, 20.0, 700.0], dtype=torch.float64)
    random = torch.Generator().manual_seed(0)
    noisy = torch.randn((4, 200_000), generator=random) + s[:, None] * torch.randn((4, 200_000), generator=random)
    spread = (noisy * edm.scalings(s).entry[:, None]).std(1)
    torch.testing.assert_close(spread, torch.ones(4, dtype=torch.float64), atol=0.01, rtol=0)


def test_the_weight_makes_every_level_count_the_same_for_the_networks_own_output() -> None:
    s = torch.tensor([0.002, 0.75, 1.0, 700.0], dtype=torch.float64)
    assert edm.weight(s)[1].item() == pytest.approx(25 / 9)
    assert edm.weight(s)[2].item() == pytest.approx(2)
    torch.testing.assert_close(edm.weight(s) * edm.scalings(s).out ** 2, torch.ones(4, dtype=torch.float64))


def test_levels_are_evenly_spaced_in_their_seventh_root() -> None:
    found = edm.levels(Diffusion(steps=3, largest=128.0, smallest=1.0))
    assert found == pytest.approx((128.0, 1.5**7, 1.0, 0.0))
    assert edm.levels(Diffusion(steps=1)) == pytest.approx((700.0, 0.0))


def test_levels_and_steps_are_those_of_stable_video_diffusions_scheduler() -> None:
    """diffusers' Euler scheduler with the settings that Stable Video Diffusion is published with."""
    published = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction",
        timestep_spacing="leading", steps_offset=1, timestep_type="continuous", use_karras_sigmas=True,
        sigma_min=0.002, sigma_max=700.0,
    )  # fmt: skip
    published.set_timesteps(30)
    config = Diffusion(steps=30)
    np.testing.assert_allclose(edm.levels(config), published.sigmas.numpy(), rtol=2e-5)
    random = torch.Generator().manual_seed(1)
    x = edm.beginning(torch.randn((1, 4), generator=random), 700.0)
    ours = theirs = x
    for (level, following), time in zip(edm.pairs(config), published.timesteps, strict=True):
        factors = edm.scalings(torch.tensor([level]))
        assert factors.noise.item() == pytest.approx(time.item(), abs=1e-5)
        read = published.scale_model_input(theirs, time)
        torch.testing.assert_close(ours * factors.entry, read, rtol=1e-3, atol=1e-5)
        output = torch.randn((1, 4), generator=random)
        ours = edm.euler_step(ours, ours * factors.skip + output * factors.out, level, following)
        theirs = published.step(output, time, theirs, return_dict=False)[0]
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def from_gaussian(steps: int, x: NDArray[np.float64], mean: float, variance: float) -> NDArray[np.float64]:
    """What the sampler makes of `x` at the largest level where the data is Gaussian, so that its denoiser is known exactly."""
    now = torch.from_numpy(x)
    for s, following in edm.pairs(Diffusion(steps=steps)):
        clean = (variance * now + s**2 * mean) / (variance + s**2)
        now = edm.euler_step(now, clean, s, following)
    return now.numpy()


def test_a_gaussian_is_sampled_as_its_exact_flow_says() -> None:
    """The flow keeps (x - mean) / sqrt(variance + s^2). Euler's error falls with the width of the steps."""
    mean, variance = 0.7, 0.3
    x = np.array([-900.0, -100.0, 5.0, 1200.0])
    exact = mean + (x - mean) * math.sqrt(variance / (variance + 700.0**2))
    errors = [np.abs(from_gaussian(steps, x, mean, variance) - exact).max() for steps in (200, 400, 4000)]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.05)
    assert errors[2] < 2e-3


def test_training_draws_the_levels_of_the_configured_distribution() -> None:
    normal = torch.randn(100_000, generator=torch.Generator().manual_seed(2))
    logarithms = np.log(edm.drawn_levels(Diffusion(steps=1), normal).numpy())
    assert logarithms.mean() == pytest.approx(1.0, abs=0.02)
    assert logarithms.std() == pytest.approx(1.6, abs=0.02)


def test_guidance_of_one_is_none_and_more_goes_beyond() -> None:
    given, without = torch.tensor([3.0]), torch.tensor([1.0])
    assert [edm.guided(given, without, scale).item() for scale in (0.0, 1.0, 2.0)] == [1.0, 3.0, 5.0]
