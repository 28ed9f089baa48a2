"""The training loop of both stages: one on a CPU, a GPU, or many through accelerate; resumed exactly after a kill.

Called by runtime/training/stages.py. Everything random follows from the seed and the number of a step: weights, optimizer,
average and that number are all the state.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from diffusers.training_utils import EMAModel
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, Dataset, Sampler

from models.errors import ModelError
from models.train import rates, training_state
from models.train.choices import Schedule
from models.train.prepared import Tensors


@dataclass(frozen=True)
class Progress:
    """One step's figures."""

    step: int
    """Its number, from 0."""
    loss: float
    """A mean over all processes."""
    learning_rate: float
    """The schedule's, that the step was made with."""
    gradient: float
    """Norm of all gradients, before it was limited to `Schedule.largest_gradient`."""


def fit(
    network: nn.Module,
    batches: Dataset[Tensors],
    schedule: Schedule,
    folder: Path,
    save: Callable[[nn.Module], None],
    own_rates: Sequence[tuple[nn.Module, float]] = (),
) -> Iterator[Progress]:
    """Train a network whose forward pass gives the loss of a batch: AdamW, rates with a warm-up, averaged weights.

    Args:
        network: what is trained are its weights with requires_grad.
        batches: batch n of them must follow from n alone.
        schedule: how long and how fast.
        folder: where the state is kept; the state of an earlier, shorter run in it is resumed.
        save: given the network with its averaged weights, whenever the state is kept and at the end.
        own_rates: parts of the network whose learning rate is another one, and by which factor; none of them within another.

    Returns:
        Figures of every step, as it is done.

    Raises:
        ModelError: the state does not fit or cannot be written, or loss or gradient are not finite: no weight has changed then.
    """
    accelerator = _accelerator(schedule)
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    groups = rates.of_parts(trained, schedule.learning_rate, own_rates)
    optimizer = torch.optim.AdamW(groups, schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True)
    own = [{"lr": group["lr"]} for group in groups]
    scheduled = rates.over_steps(optimizer, schedule)
    average = EMAModel(trained, decay=schedule.average, use_ema_warmup=True, power=0.75)
    wrapped, optimizer = cast(tuple[nn.Module, Any], accelerator.prepare(network, optimizer))
    average.to(accelerator.device)
    accelerator.register_for_checkpointing(scheduled, average)
    accelerator.register_save_state_pre_hook(training_state.without_frozen)
    first = training_state.resume(accelerator, folder, network)
    rates.take_up(scheduled, optimizer, own)
    if first >= schedule.steps and accelerator.is_main_process:
        _averaged(average, trained, lambda: save(network))  # again: whoever was killed between both had the state alone
    order = _Numbers(first, schedule.steps, accelerator.process_index, accelerator.num_processes)
    loader = DataLoader(batches, batch_size=None, sampler=order, num_workers=schedule.loaders)
    wrapped.train()
    for step, batch in enumerate(loader, start=first):
        loss = _with_gradients(accelerator, wrapped, batch)
        mean = _mean(accelerator, loss, step, schedule)
        gradient = _limited(accelerator, trained, step, schedule)
        rate = float(optimizer.param_groups[0]["lr"])
        optimizer.step()
        optimizer.zero_grad()
        scheduled.step()
        average.step(trained)
        if (step + 1) % schedule.save_every == 0 or step + 1 == schedule.steps:
            training_state.keep(accelerator, folder, step + 1)
            if accelerator.is_main_process:
                _averaged(average, trained, lambda: save(network))
        yield Progress(step, mean, rate, gradient)


def _accelerator(schedule: Schedule) -> Accelerator:
    """The device and the number type of this process, and its ties to the others."""
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)  # a policy without video uses less of the head
    cpu = not torch.cuda.is_available()
    return Accelerator(mixed_precision=_precision(schedule), cpu=cpu, kwargs_handlers=[unused])


def _mean(accelerator: Accelerator, loss: torch.Tensor, step: int, schedule: Schedule) -> float:
    """A step's loss over all processes. Raises ModelError where it is not finite."""
    mean = float(cast(torch.Tensor, accelerator.gather(loss.detach().float()[None])).mean())
    if not math.isfinite(mean):
        raise _exploded("loss", mean, step, schedule)
    return mean


def _limited(accelerator: Accelerator, trained: list[nn.Parameter], step: int, schedule: Schedule) -> float:
    """Limit the norm of all gradients. Returns what it was; raises ModelError where it is not finite."""
    norm = accelerator.clip_grad_norm_(trained, schedule.largest_gradient)
    found = float(norm) if norm is not None else 0.0
    if not math.isfinite(found):
        raise _exploded("gradient's norm", found, step, schedule)
    return found


def _exploded(what: str, value: float, step: int, schedule: Schedule) -> ModelError:
    """All processes raise it in the same step: loss and gradients have been gathered from all of them."""
    return ModelError(
        f"the {what} is {value} at step {step}, which is left out of the weights; repeat the command with a lower "
        f"--schedule.learning_rate ({schedule.learning_rate})"
    )


def _with_gradients(accelerator: Accelerator, network: nn.Module, batch: Tensors) -> torch.Tensor:
    """The loss of a batch, from which the gradients of what is trained have been computed."""
    with _attention(accelerator.device):
        with accelerator.autocast():
            moved = {name: tensor.to(accelerator.device, non_blocking=True) for name, tensor in batch.items()}
            loss = network(moved)
        accelerator.backward(loss)  # within: some activations may be computed again
    return loss


def _averaged(average: EMAModel, trained: list[nn.Parameter], use: Callable[[], None]) -> None:
    """Call `use` while the averaged weights are in place of the trained ones."""
    average.store(trained)
    average.copy_to(trained)
    use()
    average.restore(trained)


def _precision(schedule: Schedule) -> Literal["no", "bf16"]:
    if schedule.precision != "auto":
        return schedule.precision
    cuda = torch.cuda.is_available()
    # Without AMX a product in bf16 takes two to six times as long as in float32, whatever else the processor has (one thread).
    fast = torch.cuda.is_bf16_supported() if cuda else torch.cpu.get_capabilities().get("amx_bf16", False)
    return "bf16" if fast else "no"


def _attention(device: torch.device) -> AbstractContextManager[object]:
    """Plain attention on a CPU, whose fused one takes six times as long in the backward pass of such short sequences."""
    if device.type != "cpu":
        return nullcontext()
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)  # for CPUs too, else bf16 is computed in float32
    return sdpa_kernel(SDPBackend.MATH)


class _Numbers(Sampler[int]):
    """Numbers of the batches that this process takes; all processes together take each once, a step's beside each other."""

    def __init__(self, first: int, steps: int, process: int, processes: int) -> None:
        self._numbers = range(first * processes + process, steps * processes, processes)

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)
