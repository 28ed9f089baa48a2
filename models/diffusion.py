"""Sampling a chunk: DPM-Solver++ (2M) over a squared-cosine schedule, with the committed prefix kept clean.

Called by models/system1.py and by stage 2's training. Our own, equal to diffusers' DPMSolverMultistepScheduler (a test
compares them): importing that takes System 1 two seconds. Sources: Lu et al. 2022 (DPM-Solver++, algorithm 2), Nichol and
Dhariwal 2021 (schedule). RDT-1B is trained and sampled so. Legend: B batch, H targets, U numbers of an action vector.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch

from models.config.head import Head

Amount = torch.Tensor
_GREATEST_BETA = 0.999  # Nichol and Dhariwal 2021, section 3.2: no singularity at the last time


@lru_cache
def kept_share(train_steps: int) -> torch.Tensor:
    """The signal's share of the variance at each time: alpha bar, the product of 1 - beta up to there.

    beta_t = 1 - f(t + 1) / f(t), at most 0.999, with f(t) = cos^2((t / N + 0.008) / 1.008 pi / 2) (Nichol and Dhariwal 2021,
    eq. 17).

    Args:
        train_steps: N, the number of diffusion times.

    Returns:
        (N,) float32, falling from almost 1 to almost 0.
    """

    def curve(time: float) -> float:
        return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2

    ends = pairwise(step / train_steps for step in range(train_steps + 1))
    betas = torch.tensor([min(1 - curve(end) / curve(begin), _GREATEST_BETA) for begin, end in ends])
    return torch.cumprod(1 - betas, 0)


@lru_cache
def schedule(steps: int, train_steps: int) -> tuple[tuple[int, ...], tuple[tuple[float, float], ...]]:
    """When the sampler denoises, and how much signal and noise there is then; made once per pair of numbers.

    Args:
        steps: denoising steps of one chunk; their times lie evenly (diffusers' `linspace`).
        train_steps: diffusion times that the head was trained on.

    Returns:
        The steps' times, falling from train_steps - 1; and steps + 1 pairs (signal, noise) of amplitudes, sqrt(alpha bar)
        and sqrt(1 - alpha bar): one for each step, then (1, 0), where no noise is left.
    """
    times = np.linspace(0, train_steps - 1, steps + 1).round()[:0:-1].astype(int)
    kept = kept_share(train_steps)[torch.from_numpy(times)].double()
    amplitudes = zip(kept.sqrt().tolist(), (1 - kept).sqrt().tolist(), strict=True)
    return tuple(times.tolist()), (*amplitudes, (1.0, 0.0))


def cleaned(head: Head, x: Amount, prediction: Amount, signal: float | Amount, spread: float | Amount) -> Amount:
    """The clean chunk that a prediction means, where x = signal * clean + spread * noise.

    Args:
        head: `prediction` says what was predicted: the clean chunk, the noise, or v = signal * noise - spread * clean.
        x: (B, H, U) noisy chunk.
        prediction: (B, H, U) the head's.
        signal: amplitude sqrt(alpha bar); a number, or (B, 1, 1).
        spread: amplitude of the noise, sqrt(1 - alpha bar); a number, or (B, 1, 1).

    Returns:
        (B, H, U), normalised as the head learns them.
    """
    if head.prediction == "velocity":  # Salimans and Ho 2022
        return signal * x - spread * prediction
    return prediction if head.prediction == "sample" else (x - spread * prediction) / signal


def wanted(head: Head, clean: Amount, noise: Amount, signal: Amount, spread: Amount) -> Amount:
    """What the denoiser is to predict: the target of the loss, Video2Act, eq. (4), there always the noise.

    Args:
        head: `prediction`: `sample` the clean chunk (RDT-1B), `epsilon` the noise, `velocity` as in `cleaned`.
        clean: (B, H, U) normalised chunk.
        noise: (B, H, U) standard normal.
        signal: (B, 1, 1) amplitude sqrt(alpha bar).
        spread: (B, 1, 1) amplitude sqrt(1 - alpha bar).

    Returns:
        (B, H, U).
    """
    if head.prediction == "velocity":
        return signal * noise - spread * clean
    return clean if head.prediction == "sample" else noise


@dataclass(frozen=True)
class Step:
    """One denoising step of the sampler: its time, and the numbers of DPM-Solver++ (2M) that follow from the schedule alone."""

    place: int
    """Among the steps, from 0."""
    time: int
    signal: float
    """Amplitude sqrt(alpha bar) at `time`."""
    spread: float
    """Amplitude of the noise there, sqrt(1 - alpha bar)."""
    kept: float
    """Factor on the noisy chunk: the next step's spread by this one's; 0 at the last, which ends at what is predicted clean."""
    approached: float
    """Factor on the direction: the next step's signal times (exp(-h) - 1), h the step in log(signal / spread)."""
    ahead: float
    """Of the change since the step before, what is added to the direction: h by twice the h before; 0 at the first."""


Denoiser = Callable[[torch.Tensor, Step], torch.Tensor]  # noisy (B, H, U) -> prediction (B, H, U)


@lru_cache
def plan(steps: int, train_steps: int) -> tuple[Step, ...]:
    """A sampler's steps as plain numbers, made once: nothing of them is computed while a chunk is.

    Args:
        steps: denoising steps of one chunk, as in `schedule`.
        train_steps: likewise.

    Returns:
        The steps in their order, times falling.
    """
    times, amplitudes = schedule(steps, train_steps)
    made, last_width = list[Step](), 0.0
    for place, time in enumerate(times):
        (signal, spread), (next_signal, next_spread) = amplitudes[place : place + 2]
        if next_spread == 0.0:
            made.append(Step(place, time, signal, spread, 0.0, 0.0, 0.0))
            break
        width = math.log(next_signal / next_spread) - math.log(signal / spread)
        ahead = width / last_width / 2 if last_width else 0.0
        made.append(Step(place, time, signal, spread, next_spread / spread, next_signal * math.expm1(-width), ahead))
        last_width = width
    return tuple(made)


def sample(
    head: Head,
    steps: Sequence[Step],
    noise: torch.Tensor,
    prefix: torch.Tensor,
    committed: torch.Tensor,
    denoise: Denoiser,
) -> torch.Tensor:
    """From noise to a chunk that begins with the committed targets.

    They enter every step clean, so the free targets continue them (training-time real-time chunking). Deterministic, and
    without a decision on what is in a tensor: a CUDA graph can capture it.

    Args:
        head: what is predicted.
        steps: of `plan`.
        noise: (B, H, U) float32 standard normal; stays unchanged.
        prefix: (B, H, U) the committed targets, normalised, in their places; the others are not looked at.
        committed: (B, H) bool, which targets are.
        denoise: the head: noisy (B, H, U) and the step -> prediction (B, H, U); called once a step.

    Returns:
        (B, H, U), normalised; its committed targets are the prefix's, bit for bit.
    """
    fixed = committed[..., None]
    x = before = noise
    for step in steps:
        x = torch.where(fixed, prefix, x)
        clean = cleaned(head, x, denoise(x, step), step.signal, step.spread)
        if step.kept == 0.0:  # the last step is of first order
            x = clean
            break
        direction = clean + (clean - before) * step.ahead if step.ahead else clean
        x = x * step.kept - direction * step.approached
        before = clean
    return torch.where(fixed, prefix, x)
