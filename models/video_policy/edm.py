"""Noise levels, preconditioning and Euler steps, as plain functions: EDM (Karras et al. 2022, arXiv 2206.00364).

Called by video_model.py, imagination.py and action_sampler.py; video and actions share every level. Data has about variance 1.
Legend: B batch, s a noise level (standard deviation), ... the dimensions of one sample.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from models.video_policy.parts import Diffusion


@dataclass(frozen=True)
class Scalings:
    """Factors around a network: it is given `entry` x and `noise`; `skip` x + `out` its output is the clean sample."""

    skip: torch.Tensor
    out: torch.Tensor
    entry: torch.Tensor
    noise: torch.Tensor


def scalings(s: torch.Tensor) -> Scalings:
    """c_skip, c_out, c_in and c_noise where the network predicts a velocity (Salimans and Ho 2022), as in the public code.

    Args:
        s: (...) noise levels above 0, any float dtype.

    Returns:
        Each of the shape of `s`.
    """
    root = (s**2 + 1).sqrt()
    return Scalings(skip=1 / root**2, out=-s / root, entry=1 / root, noise=s.log() / 4)


def weight(s: torch.Tensor) -> torch.Tensor:
    """What a squared error of the clean sample counts in training: (s^2 + 1) / s^2, so 1 for the network's own output.

    Args:
        s: (...) noise levels above 0.

    Returns:
        (...), above 1.
    """
    return (s**2 + 1) / s**2


def levels(config: Diffusion) -> tuple[float, ...]:
    """The noise levels of a sampler (Karras et al. 2022, eq. (5)).

    Args:
        config: steps, largest and smallest level, rho.

    Returns:
        steps + 1 numbers, falling from the largest to the smallest and then 0. A single step goes from the largest to 0.
    """
    first, last = (value ** (1 / config.rho) for value in (config.largest, config.smallest))
    gaps = max(config.steps - 1, 1)
    return (*((first + place / gaps * (last - first)) ** config.rho for place in range(config.steps)), 0.0)


def drawn_levels(config: Diffusion, normal: torch.Tensor) -> torch.Tensor:
    """Noise levels for training, their logarithms normal with the configured mean and spread.

    Args:
        config: that mean and spread.
        normal: (B,) standard normal numbers.

    Returns:
        (B,) levels, above 0.
    """
    return (config.log_mean + config.log_deviation * normal).exp()


def beginning(noise: torch.Tensor, level: float) -> torch.Tensor:
    """Where a sampler begins: what data of variance 1 and noise of that level have together.

    Args:
        noise: (B, ...) standard normal.
        level: the first of `levels`.

    Returns:
        (B, ...) of variance level^2 + 1.
    """
    return noise * (level**2 + 1) ** 0.5


def euler_step(x: torch.Tensor, clean: torch.Tensor, level: float, following: float) -> torch.Tensor:
    """One step along the probability flow, whose slope is (x - clean) / s (Karras et al. 2022, eq. (1) and (3)).

    Args:
        x: (B, ...) the sample at `level`.
        clean: (B, ...) what the denoiser makes of it.
        level: noise level now, above 0.
        following: the next one; at 0 the result is `clean`.

    Returns:
        (B, ...) the sample at `following`.
    """
    return clean + (x - clean) * (following / level)


def guided(given: torch.Tensor, without: torch.Tensor, scale: float) -> torch.Tensor:
    """Classifier-free guidance (Ho and Salimans 2022): beyond what the conditions change, if the scale is above 1.

    Args:
        given: (B, ...) made with the conditions.
        without: (B, ...) made without them.
        scale: 1: with them alone.

    Returns:
        (B, ...).
    """
    return without + scale * (given - without)


def per_sample(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """One value for each sample (B,), with the dimensions (B, 1, ...) in which it multiplies `like` (B, ...)."""
    return values.reshape(-1, *[1] * (like.dim() - 1))


def pairs(config: Diffusion) -> Sequence[tuple[float, float]]:
    """The steps of a sampler: each level with the one after it."""
    return tuple(itertools.pairwise(levels(config)))
