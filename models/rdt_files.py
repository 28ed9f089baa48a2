"""Finds and reads the file of RDT-1B's weights: as published, or as RDT's own training leaves them. Called by models/rdt.py.

RDT trains with DeepSpeed and writes folders checkpoint-N: `pytorch_model.bin` and `pytorch_model/mp_rank_00_model_states.pt`
hold the same weights, `ema/model.safetensors` their average, which RDT itself does not use.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file

from models.errors import ModelError
from models.weight_check import UNREADABLE, why_unreadable

_STATES = "mp_rank_00_model_states.pt"
_FILES = ("model.safetensors", "pytorch_model.bin", _STATES, f"pytorch_model/{_STATES}")  # the first that is there
_AVERAGE = "ema/model.safetensors"
_PART = "*zero_pp_rank_*_mp_rank_*_model_states.pt"  # DeepSpeed's, where each process keeps a part of every weight
_WEIGHTS = "module"  # DeepSpeed's name of them in its file


def read(folder: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    """The file of a folder, and its tensors by RDT's names, on the CPU. Nothing in it is executed.

    Raises ModelError when there is none, or it cannot be read, or holds anything else; says what to give instead.
    """
    path = _found(folder)
    try:
        if path.suffix == ".safetensors":
            return path, load_file(path)
        whole = zipfile.is_zipfile(path)  # files of torch before 1.6 are not, and cannot be mapped into memory
        return path, _weights(path, torch.load(path, map_location="cpu", weights_only=True, mmap=whole))
    except UNREADABLE as error:
        raise ModelError(f"{path}: {why_unreadable(error)}") from None


def _found(folder: Path) -> Path:
    for name in _FILES:
        if (folder / name).is_file():
            return folder / name
    if (folder / _AVERAGE).is_file():
        raise ModelError(f"{folder}: holds RDT's averaged weights alone; to begin with them give {folder / 'ema'}")
    numbered = [path for path in folder.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdigit()]
    if numbered:
        last = max(numbered, key=lambda path: int(path.name.removeprefix("checkpoint-")))
        raise ModelError(f"{folder}: holds {len(numbered)} checkpoints of RDT; give one of them, the last is {last}")
    if any(folder.rglob(_PART)):
        raise ModelError(
            f"{folder}: the weights lie in DeepSpeed's parts; join them there with `python zero_to_fp32.py . .`, "
            "then give this folder again"
        )
    raise ModelError(f"{folder}: {', '.join(_FILES)} are missing; fetch RDT-1B with ./launch/weights.sh")


def _weights(path: Path, stored: object) -> dict[str, torch.Tensor]:
    """The tensors of what was unpickled, DeepSpeed's own entries left out."""
    inner = cast(Mapping[str, Any], stored).get(_WEIGHTS, stored) if isinstance(stored, Mapping) else stored
    if not isinstance(inner, Mapping):
        raise ModelError(f"{path}: expected tensors by name, got {type(inner).__name__}; give RDT-1B")
    named = cast(Mapping[str, Any], inner)
    other = next((name for name, value in named.items() if not isinstance(value, torch.Tensor)), None)
    if other is not None:
        raise ModelError(f"{path}: {other!r:.60} is a {type(named[other]).__name__}, no tensor; give RDT-1B")
    return dict(named)
