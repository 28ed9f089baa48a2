"""Finds and reads the file of RDT-1B's weights: as published, or as RDT's own training leaves them. Called by models/rdt.py.

RDT trains with DeepSpeed and writes folders checkpoint-N: `pytorch_model.bin` and `pytorch_model/mp_rank_00_model_states.pt`
hold the same weights, `ema/model.safetensors` their average, which RDT itself does not use.
"""

from pathlib import Path

import torch

from models.errors import ModelError
from models.foreign_weights import stored_in

_STATES = "mp_rank_00_model_states.pt"
_FILES = ("model.safetensors", "pytorch_model.bin", _STATES, f"pytorch_model/{_STATES}")  # the first that is there
_AVERAGE = "ema/model.safetensors"
_PART = "*zero_pp_rank_*_mp_rank_*_model_states.pt"  # DeepSpeed's, where each process keeps a part of every weight


def read(folder: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    """The file of a folder, and its tensors by RDT's names, on the CPU. Nothing in it is executed.

    Raises ModelError when there is none, or it cannot be read, or holds anything else; says what to give instead.
    """
    path = _found(folder)
    return path, {name: tensor() for name, tensor in stored_in(path).items()}


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
