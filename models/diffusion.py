"""Sampling a chunk: DPM-Solver++ over a squared-cosine schedule, with the committed prefix kept clean (diffusers' solver)."""

from collections.abc import Callable

import torch
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

from models.config import Head

Denoiser = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # (noisy (B, H, J), time (B,)) -> prediction


def solver(head: Head) -> DPMSolverMultistepScheduler:
    """The sampler's schedule, as RDT-1B was trained and is sampled."""
    return DPMSolverMultistepScheduler(
        num_train_timesteps=head.train_steps,
        beta_schedule="squaredcos_cap_v2",
        prediction_type=head.prediction,
        algorithm_type="dpmsolver++",
        solver_order=2,
    )


def sample(head: Head, noise: torch.Tensor, prefix: torch.Tensor, denoise: Denoiser) -> torch.Tensor:
    """From noise (B, H, J) to a chunk (B, H, J) whose first prefix.shape[1] targets are the prefix, unchanged.

    The committed targets enter every step clean, so the free ones continue them (training-time real-time chunking).
    """
    scheduler = solver(head)
    scheduler.set_timesteps(head.steps, device=noise.device)
    count = prefix.shape[1]
    x = noise.clone()
    for time in scheduler.timesteps:
        x[:, :count] = prefix
        prediction = denoise(x, time.expand(x.shape[0]))
        x = scheduler.step(prediction, time, x, return_dict=False)[0]
    x[:, :count] = prefix
    return x
