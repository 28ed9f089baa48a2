"""The training loop of both stages: one on a CPU, a GPU, or many through accelerate; resumed exactly after a kill.

Called by runtime/training/stages.py. Everything random follows from the seed and the number of a step: weights, optimizer,
average and that number are all the state.
"""

import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from diffusers.training_utils import EMAModel
from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers.optimization import get_cosine_schedule_with_warmup

from models.errors import ModelError
from models.train.choices import Schedule
from models.train.prepared import Tensors

_STATE, _STEP, _WEIGHTS = "state", "step.json", "model.safetensors"


@dataclass(frozen=True)
class Progress:
    """One step's figures: its number from 0, its loss, a mean over all processes, and the rate that it was made with."""

    step: int
    loss: float
    learning_rate: float


def fit(
    network: nn.Module,
    batches: Dataset[Tensors],
    schedule: Schedule,
    folder: Path,
    save: Callable[[nn.Module], None],
    own_rates: Sequence[tuple[nn.Module, float]] = (),
) -> Iterator[Progress]:
    """Train a network whose forward pass gives the loss of a batch: AdamW, cosine rate with warm-up, averaged weights.

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
        ModelError: the state does not fit, or the loss is not finite.
    """
    accelerator = _accelerator(schedule)
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    groups = _groups(trained, schedule.learning_rate, own_rates)
    optimizer = torch.optim.AdamW(groups, schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True)
    rates = get_cosine_schedule_with_warmup(optimizer, schedule.warmup_steps, schedule.steps)
    average = EMAModel(trained, decay=schedule.average, use_ema_warmup=True, power=0.75)
    wrapped, optimizer = cast(tuple[nn.Module, Any], accelerator.prepare(network, optimizer))
    average.to(accelerator.device)
    accelerator.register_for_checkpointing(rates, average)
    accelerator.register_save_state_pre_hook(_without_frozen)
    state = folder / _STATE
    first = _resume(accelerator, state, network)  # not `wrapped`: several processes' has other names
    if first >= schedule.steps and accelerator.is_main_process:
        _averaged(average, trained, lambda: save(network))  # again: whoever was killed between both had the state alone
    order = _Numbers(first, schedule.steps, accelerator.process_index, accelerator.num_processes)
    loader = DataLoader(batches, batch_size=None, sampler=order, num_workers=schedule.loaders)
    wrapped.train()
    for step, batch in enumerate(loader, start=first):
        loss = _with_gradients(accelerator, wrapped, batch)
        accelerator.clip_grad_norm_(trained, schedule.largest_gradient)
        optimizer.step()
        optimizer.zero_grad()
        rate = float(rates.get_last_lr()[0])
        rates.step()
        average.step(trained)
        mean = _mean(accelerator, loss, step, schedule)
        if (step + 1) % schedule.save_every == 0 or step + 1 == schedule.steps:
            _keep(accelerator, state, step + 1)
            if accelerator.is_main_process:
                _averaged(average, trained, lambda: save(network))
        yield Progress(step, mean, rate)


def _accelerator(schedule: Schedule) -> Accelerator:
    """The device and the number type of this process, and its ties to the others."""
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)  # a policy without video uses less of the head
    cpu = not torch.cuda.is_available()
    return Accelerator(mixed_precision=_precision(schedule), cpu=cpu, kwargs_handlers=[unused])


def _mean(accelerator: Accelerator, loss: torch.Tensor, step: int, schedule: Schedule) -> float:
    """A step's loss over all processes. Raises ModelError where it is not finite."""
    mean = float(cast(torch.Tensor, accelerator.gather(loss.detach().float()[None])).mean())
    if not math.isfinite(mean):
        raise ModelError(
            f"the loss is {mean} at step {step}; lower --schedule.learning_rate ({schedule.learning_rate})"
        )
    return mean


def _with_gradients(accelerator: Accelerator, network: nn.Module, batch: Tensors) -> torch.Tensor:
    """The loss of a batch, from which the gradients of what is trained have been computed."""
    with _attention(accelerator.device):
        with accelerator.autocast():
            moved = {name: tensor.to(accelerator.device, non_blocking=True) for name, tensor in batch.items()}
            loss = network(moved)
        accelerator.backward(loss)  # within: some activations may be computed again
    return loss


def _groups(
    trained: list[nn.Parameter], learning_rate: float, own_rates: Sequence[tuple[nn.Module, float]]
) -> list[dict[str, Any]]:
    """What is trained as the optimizer takes it: first what has the schedule's rate, then each part with a rate of its own."""
    parts = [(list(part.parameters()), factor) for part, factor in own_rates if factor != 1.0]
    apart = {id(weight) for weights, _ in parts for weight in weights}
    groups: list[dict[str, Any]] = [{"params": [weight for weight in trained if id(weight) not in apart]}]
    for weights, factor in parts:
        learning = [weight for weight in weights if weight.requires_grad]
        groups.append({"params": learning, "lr": learning_rate * factor})
    return groups


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


def _without_frozen(models: list[nn.Module], weights: list[Tensors], _folder: str) -> None:
    """Leave frozen weights out of a state: a video model's would be tens of gigabytes every time. Called by accelerate."""
    for model, kept in zip(models, weights, strict=True):
        for name, weight in model.named_parameters():
            if not weight.requires_grad:
                kept.pop(name, None)


def _resume(accelerator: Accelerator, state: Path, network: nn.Module) -> int:
    """Load the state of a folder, or the one before it. Returns the number of its next step, 0 without any."""
    for kept in (state, state.with_name(_STATE + ".before")):
        if not (kept / _STEP).is_file():
            continue
        try:
            with safe_open(kept / _WEIGHTS, "pt") as file:
                there = set(file.keys())
            lost = [name for name, weight in network.named_parameters() if weight.requires_grad and name not in there]
            if lost:
                raise ValueError(f"{lost[0]} is missing")
            accelerator.load_state(str(kept), strict=False)
            return int(json.loads((kept / _STEP).read_text())["step"])
        except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
            reason = " ".join(str(error).split()[:20])
            raise ModelError(f"{kept}: cannot be resumed ({reason}); give another --out") from None
    return 0


def _keep(accelerator: Accelerator, state: Path, step: int) -> None:
    """Write the state of all processes, whole or not at all; the one before is removed only then."""
    beside, before = state.with_name(_STATE + ".part"), state.with_name(_STATE + ".before")
    if accelerator.is_main_process:
        shutil.rmtree(beside, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(beside))
    accelerator.wait_for_everyone()
    if not accelerator.is_main_process:
        return
    (beside / _STEP).write_text(json.dumps({"step": step}))
    shutil.rmtree(before, ignore_errors=True)
    if state.exists():
        state.rename(before)
    beside.rename(state)
    shutil.rmtree(before, ignore_errors=True)
