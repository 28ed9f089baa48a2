"""The state of a training in its folder: written whole or not at all, the one before kept until then, and loaded again.

Called by models/train/loop.py.
"""

import json
import os
import shutil
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251  # its name alone: torch raises it where it refuses to unpickle

from accelerate import Accelerator
from safetensors import SafetensorError, safe_open
from torch import nn

from models.errors import ModelError
from models.train.prepared import Tensors

_STATE, _STEP, _WEIGHTS = "state", "step.json", "model.safetensors"
_DAMAGED = (OSError, RuntimeError, ValueError, LookupError, TypeError, EOFError, UnpicklingError, SafetensorError)
"""What torch, accelerate and safetensors raise for files that are empty, cut off or of another kind."""
_REASON_WORDS = 20  # of a library's error that are repeated; chosen: a line's worth


def steps_done(folder: Path) -> int:
    """How many steps the state kept in a folder has; 0 without any. Raises ModelError for a damaged record of it."""
    for kept in _kept(folder):
        if (kept / _STEP).is_file():
            try:
                return int(json.loads((kept / _STEP).read_text())["step"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise _unfit(kept, error) from None
    return 0


def without_frozen(models: list[nn.Module], weights: list[Tensors], _folder: str) -> None:
    """Leave frozen weights out of a state: a video model's would be tens of gigabytes every time. Called by accelerate."""
    for model, kept in zip(models, weights, strict=True):
        for name, weight in model.named_parameters():
            if not weight.requires_grad:
                kept.pop(name, None)


def resume(accelerator: Accelerator, folder: Path, network: nn.Module) -> int:
    """Load the state kept in a folder, or the one before it.

    Args:
        accelerator: Of the training, with everything registered that belongs to its state.
        folder: Of the training.
        network: What is trained; of several processes not the wrapped one, which has other names.

    Returns:
        The number of the next step; 0 without any state.

    Raises:
        ModelError: The state is of another network, or damaged.
    """
    there = [kept for kept in _kept(folder) if (kept / _STEP).is_file()]
    for kept in there:
        try:
            return _loaded(accelerator, kept, network)
        except _DAMAGED as error:
            if kept is there[-1]:
                raise _unfit(kept, error) from None
    return 0


def _loaded(accelerator: Accelerator, kept: Path, network: nn.Module) -> int:
    """Load one state. Returns the number of its next step; raises one of _DAMAGED."""
    with safe_open(kept / _WEIGHTS, "pt") as file:
        there = set(file.keys())
    lost = [name for name, weight in network.named_parameters() if weight.requires_grad and name not in there]
    if lost:
        raise ValueError(f"{lost[0]} is missing")
    accelerator.load_state(str(kept), strict=False)
    return int(json.loads((kept / _STEP).read_text())["step"])


def keep(accelerator: Accelerator, folder: Path, step: int) -> None:
    """Write the state of all processes; the one before is removed only then.

    Args:
        accelerator: Of the training.
        folder: Of the training.
        step: How many steps it has done.

    Raises:
        ModelError: It cannot be written, as on a full disk. The state before it stays.
    """
    state, before = _kept(folder)
    beside = folder / f"{_STATE}.part"
    if accelerator.is_main_process:
        shutil.rmtree(beside, ignore_errors=True)
    accelerator.wait_for_everyone()
    try:
        accelerator.save_state(str(beside))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            (beside / _STEP).write_text(json.dumps({"step": step}))
    except (OSError, RuntimeError, SafetensorError) as error:  # torch and safetensors say it each in their own way
        shutil.rmtree(beside, ignore_errors=True)
        raise ModelError(
            f"{state}: the state of step {step} cannot be written ({_reason(error)}); free disk space, then repeat the "
            f"command: it resumes at step {steps_done(folder)}"
        ) from None
    if not accelerator.is_main_process:
        return
    _flush(beside)
    if state.exists():  # else the one before is all there is, until this one has its name
        shutil.rmtree(before, ignore_errors=True)
        state.rename(before)
    beside.rename(state)
    _flush(folder)
    shutil.rmtree(before, ignore_errors=True)


def _flush(folder: Path) -> None:
    """Wait until a folder and its files are on the disk: one that is renamed before that may be empty after a power cut."""
    for path in (*(path for path in folder.iterdir() if path.is_file()), folder):
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _kept(folder: Path) -> tuple[Path, Path]:
    """Where a state may lie: the newest, then the one before it, which is there alone if the machine stopped in between."""
    return folder / _STATE, folder / f"{_STATE}.before"


def _unfit(kept: Path, error: Exception) -> ModelError:
    return ModelError(f"{kept}: cannot be resumed ({_reason(error)}); give another --out")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()[:_REASON_WORDS]) or "a file is empty"
