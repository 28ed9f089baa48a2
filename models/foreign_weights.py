"""Weights in files that somebody else's trainer wrote: one safetensors file, shards with an index, or what torch saved.

Called by models/backbones/wan_original.py and models/rdt_files.py. Nothing is executed: torch's files are read as weights only.
"""

import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open

from models import json_file
from models.errors import ModelError
from models.sources import OF_TORCH
from models.weight_check import UNREADABLE, why_unreadable

Stored = Mapping[str, Callable[[], torch.Tensor]]
"""Tensors by name. Each is read when it is called for, on the CPU; it may share memory with the file."""

_AGAIN = "copy the folder again"
_INDEX = "*.safetensors.index.json"
_OF_TORCH = tuple(f"*{suffix}" for suffix in OF_TORCH)
_WRAPPERS = (
    "state_dict",
    "module",
    "model",
    "model_state_dict",
    "ema",
)  # what trainers call the weights in what they save


def stored_in(path: Path) -> Stored:
    """The tensors of a file, or of the only weights in a folder; reads none of safetensors yet.

    Raises:
        ModelError: There is no such file, there are several, or one cannot be read.
    """
    files = [path] if path.is_file() else _files(path)
    tensors: dict[str, Callable[[], torch.Tensor]] = {}
    for file in files:
        try:
            tensors |= _safetensors(file) if file.suffix == ".safetensors" else _of_torch(file)
        except UNREADABLE as error:
            raise ModelError(f"{file}: {why_unreadable(error)}") from None
    return tensors


def _files(folder: Path) -> list[Path]:
    """The weight files of a folder: the shards that its index names, or the only file."""
    if indexes := sorted(folder.glob(_INDEX)):
        return _shards(_only(indexes))
    found = sorted(folder.glob("*.safetensors")) or sorted(file for kind in _OF_TORCH for file in folder.glob(kind))
    if not found:
        raise ModelError(
            f"{folder}: holds no weights (*.safetensors, {', '.join(_OF_TORCH)}); give the file, or its folder"
        )
    return [_only(found)]


def _only(found: list[Path]) -> Path:
    if len(found) > 1:
        raise ModelError(f"{found[0].parent}: holds several, {found[0].name} and {found[1].name}; give the file itself")
    return found[0]


def _shards(index: Path) -> list[Path]:
    try:
        names = set(json_file.texts(json_file.table(index, f"{index}:", _AGAIN)["weight_map"], index, _AGAIN).values())
    except UNREADABLE as error:
        raise ModelError(f"{index}: cannot be read ({error!r:.80}); copy the folder again") from None
    elsewhere = [name for name in names if Path(name).name != name]
    if elsewhere:
        raise ModelError(f"{index}: {elsewhere[0]!r:.80} is no file of this folder; copy the folder again")
    return [index.parent / name for name in sorted(names)]


def _safetensors(file: Path) -> dict[str, Callable[[], torch.Tensor]]:
    opened = safe_open(file, framework="pt")
    return {name: partial(opened.get_tensor, name) for name in opened.keys()}  # noqa: SIM118 - it is no mapping


def _of_torch(file: Path) -> dict[str, Callable[[], torch.Tensor]]:
    """What torch.save wrote; only the files of its present format can be mapped instead of read whole."""
    stored: Any = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    while isinstance(stored, dict):
        entries = cast(dict[Any, Any], stored)
        if entries and all(isinstance(name, str) and isinstance(entries[name], torch.Tensor) for name in entries):
            return {name: partial(_itself, tensor) for name, tensor in entries.items()}
        inner = [name for name in _WRAPPERS if isinstance(entries.get(name), dict)]
        if len(inner) > 1:
            raise ModelError(f"{file}: holds both {inner[0]!r} and {inner[1]!r}; save the one to be used by itself")
        if not inner:
            break
        stored = entries[inner[0]]
    raise ModelError(
        f"{file}: expected tensors by name, by themselves or as {', '.join(_WRAPPERS)}, got {_kind(stored)}; "
        "save a state_dict"
    )


def _kind(stored: Any) -> str:
    """What was stored in place of tensors by name: its type, or of a table the first entry that is no tensor."""
    entries: dict[Any, Any] = stored if isinstance(stored, dict) else {}
    other = next((name for name, value in entries.items() if not isinstance(value, torch.Tensor)), None)
    return f"{type(stored).__name__}" if other is None else f"{other!r:.60}: {type(entries[other]).__name__}"


def _itself(tensor: torch.Tensor) -> torch.Tensor:
    return tensor
