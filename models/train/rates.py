"""The learning rates of a training: of each part of the network, and over the steps.

Called by models/train/loop.py.
"""

from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers.optimization import get_cosine_schedule_with_warmup, get_wsd_schedule

from models.train.choices import Schedule


def over_steps(optimizer: Optimizer, schedule: Schedule) -> LambdaLR:
    """How the rates change: a warm-up, and then as `Schedule.rate` says."""
    if schedule.rate == "cosine":
        return get_cosine_schedule_with_warmup(optimizer, schedule.warmup_steps, schedule.steps)
    fall = min(schedule.fall_steps, max(0, schedule.steps - schedule.warmup_steps))
    return get_wsd_schedule(
        optimizer, schedule.warmup_steps, fall, num_training_steps=schedule.steps, decay_type="linear"
    )


def take_up(rates: LambdaLR, optimizer: Optimizer, groups: Sequence[dict[str, Any]]) -> None:
    """Go on with the rates of `groups`, which may be others than those of the state that was loaded."""
    rates.base_lrs = [group["lr"] for group in groups]
    for group, rate, factor in zip(optimizer.param_groups, rates.base_lrs, rates.lr_lambdas, strict=True):
        group["initial_lr"], group["lr"] = rate, rate * factor(rates.last_epoch)


def of_parts(
    trained: list[nn.Parameter], learning_rate: float, own_rates: Sequence[tuple[nn.Module, float]]
) -> list[dict[str, Any]]:
    """What is trained as the optimizer takes it, first what has the schedule's rate, then each part with a rate of its own.

    Args:
        trained: All weights that are trained.
        learning_rate: The schedule's.
        own_rates: Parts whose rate is another one, and by which factor.

    Returns:
        Groups with their weights and rates.
    """
    parts = [(list(part.parameters()), factor) for part, factor in own_rates if factor != 1.0]
    apart = {id(weight) for weights, _ in parts for weight in weights}
    groups: list[dict[str, Any]] = [
        {"params": [weight for weight in trained if id(weight) not in apart], "lr": learning_rate}
    ]
    for weights, factor in parts:
        learning = [weight for weight in weights if weight.requires_grad]
        groups.append({"params": learning, "lr": learning_rate * factor})
    return groups
