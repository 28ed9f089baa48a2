"""Sampling a chunk: DPM-Solver++ (2M) over a squared-cosine schedule, with the committed prefix kept clean.

Our own, equal to diffusers' DPMSolverMultistepScheduler (a test compares them): importing that takes System 1 two seconds.
Source: Lu et al. 2022, DPM-Solver++, algorithm 2; Nichol and Dhariwal 2021 for the schedule. RDT-1B is trained and sampled so.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch

from models.config import Head

Amount = torch.Tensor
Denoiser = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # (noisy (B, H, J), time (B,)) -> prediction
_GREATEST_BETA = 0.999


@lru_cache
def kept_share(train_steps: int) -> torch.Tensor:
    """(train_steps,) float32: the signal's share of the variance at each time (alpha bar)."""

    def curve(time: float) -> float:
        return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2

    ends = pairwise(step / train_steps for step in range(train_steps + 1))
    betas = torch.tensor([min(1 - curve(end) / curve(begin), _GREATEST_BETA) for begin, end in ends])
    return torch.cumprod(1 - betas, 0)


@lru_cache
def schedule(steps: int, train_steps: int) -> tuple[tuple[int, ...], tuple[tuple[float, float], ...]]:
    """Times of the steps, falling; and (signal, noise) amplitudes at each and after the last, where no noise is left."""
    times = np.linspace(0, train_steps - 1, steps + 1).round()[:0:-1].astype(int)
    kept = kept_share(train_steps)[torch.from_numpy(times)].double()
    amplitudes = zip(kept.sqrt().tolist(), (1 - kept).sqrt().tolist(), strict=True)
    return tuple(times.tolist()), (*amplitudes, (1.0, 0.0))


def cleaned(head: Head, x: Amount, prediction: Amount, signal: float | Amount, spread: float | Amount) -> Amount:
    """The clean chunk that a prediction means, at a noisy chunk x of these amplitudes."""
    if head.prediction == "velocity":  # Salimans and Ho 2022
        return signal * x - spread * prediction
    return prediction if head.prediction == "sample" else (x - spread * prediction) / signal


def wanted(head: Head, clean: Amount, noise: Amount, signal: Amount, spread: Amount) -> Amount:
    """What the denoiser is to predict."""
    if head.prediction == "velocity":
        return signal * noise - spread * clean
    return clean if head.prediction == "sample" else noise


def sample(head: Head, noise: torch.Tensor, prefix: torch.Tensor, denoise: Denoiser) -> torch.Tensor:
    """From noise (B, H, J) to a chunk (B, H, J) whose first prefix.shape[1] targets are the prefix, unchanged.

    The committed targets enter every step clean, so the free ones continue them (training-time real-time chunking).
    """
    times, amplitudes = schedule(head.steps, head.train_steps)
    count = prefix.shape[1]
    x, before, last_step = noise.clone(), None, 0.0
    for place, time in enumerate(times):
        (signal, spread), (next_signal, next_spread) = amplitudes[place : place + 2]
        x[:, :count] = prefix
        prediction = denoise(x, torch.full((x.shape[0],), time, device=x.device))
        clean = cleaned(head, x, prediction, signal, spread)
        if next_spread == 0.0:  # the last step, of first order: what is predicted clean
            x = clean.clone()
            break
        step = math.log(next_signal / next_spread) - math.log(signal / spread)
        direction = clean if before is None else clean + (clean - before) * (step / last_step / 2)
        x = x * (next_spread / spread) - direction * (next_signal * math.expm1(-step))
        before, last_step = clean, step
    x[:, :count] = prefix
    return x
