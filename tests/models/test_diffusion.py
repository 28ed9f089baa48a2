"""The sampler: what a constant or an exact denoiser must give, and how the committed prefix enters every step.
Called by pytest; chunks are (B, H, J)."""

from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

from models import diffusion
from models.config.head import Head

SHAPE = (2, 8, 3)
NO_PREFIX = torch.empty(2, 0, 3)


def head(steps: int = 5) -> Head:
    """A head's sampling settings; its network is not made."""
    return Head(width=32, depth=1, heads=4, steps=steps)


def noise() -> torch.Tensor:
    """The same noise every time."""
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(5))


Denoise = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # noisy, times (B,) -> prediction


def sampled(head: Head, start: torch.Tensor, prefix: torch.Tensor, denoise: Denoise) -> torch.Tensor:
    """The sampler with a prefix (B, n, U) in its places."""
    count = prefix.shape[1]
    placed = torch.full_like(start, torch.nan)  # what stands in free places must not be looked at
    placed[:, :count] = prefix
    committed = (torch.arange(start.shape[1]) < count).expand(len(start), -1)
    steps = diffusion.plan(head.steps, head.train_steps)
    return diffusion.sample(
        head, steps, start, placed, committed, lambda x, step: denoise(x, torch.full((len(x),), step.time))
    )


@pytest.mark.parametrize("steps", [1, 2, 5, 10])
def test_constant_denoiser_gives_its_constant(steps: int) -> None:
    constant = torch.randn(SHAPE, generator=torch.Generator().manual_seed(6))
    chunk = sampled(head(steps), noise(), NO_PREFIX, lambda _x, _time: constant)
    torch.testing.assert_close(chunk, constant, rtol=0, atol=1e-6)


@pytest.mark.parametrize("prediction", ["sample", "epsilon"])
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 10])
def test_the_sampler_is_diffusers_solver(prediction: Literal["sample", "epsilon"], steps: int) -> None:
    settings = head(steps).model_copy(update={"prediction": prediction})
    solver: Any = DPMSolverMultistepScheduler(
        num_train_timesteps=settings.train_steps, beta_schedule="squaredcos_cap_v2", prediction_type=prediction,
        algorithm_type="dpmsolver++", solver_order=2,
    )  # fmt: skip
    solver.set_timesteps(steps)
    torch.testing.assert_close(solver.alphas_cumprod, diffusion.kept_share(settings.train_steps))

    def denoise(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        return torch.sin(3 * x) + time.view(-1, 1, 1) / 1000

    theirs = noise()
    for time in solver.timesteps:
        theirs = solver.step(denoise(theirs, time.expand(2)), time, theirs, return_dict=False)[0]
    ours = sampled(settings, noise(), NO_PREFIX, denoise)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_exact_noise_prediction_gives_the_clean_chunk() -> None:
    settings = head().model_copy(update={"prediction": "epsilon"})
    clean = torch.randn(SHAPE, generator=torch.Generator().manual_seed(6)) * 0.1
    alphas = diffusion.kept_share(settings.train_steps)

    def exact(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        alpha = alphas[time].view(-1, 1, 1)
        return (x - alpha.sqrt() * clean) / (1 - alpha).sqrt()

    chunk = sampled(settings, noise(), NO_PREFIX, exact)
    torch.testing.assert_close(chunk, clean, rtol=0, atol=1e-3)


def test_denoiser_is_called_once_a_step_with_falling_times() -> None:
    times: list[int] = []

    def denoise(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        assert time.shape == (SHAPE[0],)
        times.append(int(time[0]))
        return torch.zeros_like(x)

    sampled(head(steps=5), noise(), NO_PREFIX, denoise)
    assert len(times) == 5
    assert times == sorted(times, reverse=True)
    assert times[0] == 999


@pytest.mark.parametrize("count", [0, 1, 5, 8])
def test_prefix_comes_back_unchanged(count: int) -> None:
    prefix = torch.randn(2, count, 3)
    chunk = sampled(head(), noise(), prefix, lambda x, _time: torch.sin(x))
    assert torch.equal(chunk[:, :count], prefix)


def test_denoiser_sees_the_clean_prefix_at_every_step() -> None:
    prefix = torch.randn(2, 3, 3)
    seen: list[torch.Tensor] = []

    def denoise(x: torch.Tensor, _time: torch.Tensor) -> torch.Tensor:
        seen.append(x[:, :3].clone())
        return torch.zeros_like(x)

    sampled(head(), noise(), prefix, denoise)
    assert len(seen) == 5
    assert all(torch.equal(part, prefix) for part in seen)


def test_noise_is_left_alone() -> None:
    start = noise()
    sampled(head(), start, torch.zeros(2, 4, 3), lambda x, _time: x)
    assert torch.equal(start, noise())
