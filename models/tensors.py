"""The tensor files of a checkpoint: one `model.safetensors`, or shards with an index when it is large.

Called by models/checkpoint.py. Every shard carries the mark of its checkpoint (a hash of all its tensors), so that one from
elsewhere is told apart; `checksums.json` has a checksum of each tensor. Checkpoints of earlier versions have none.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from models import json_file, refusal
from models.errors import ModelError
from models.identity import CHECKSUMS, INDEX, SINGLE
from models.weight_check import check_finite, checksum

_SHARD_BYTES = 2 << 30  # chosen: 2 GiB, so that a broken fetch costs little; the hub's own tools take 5 GB
_MARK = "checkpoint"
_AGAIN = "copy the checkpoint again"


def save_tensors(folder: Path, tensors: dict[str, torch.Tensor], shard_bytes: int | None = None) -> None:
    """Write tensors into an existing folder; in shards where they are more than `shard_bytes` (2 GiB where it is None)."""
    from huggingface_hub import split_torch_state_dict_into_shards

    apart = _apart(tensors)
    plan = split_torch_state_dict_into_shards(apart, max_shard_size=shard_bytes or _SHARD_BYTES)
    mark = _hash(apart) if plan.is_sharded else ""
    for file, names in plan.filename_to_tensors.items():
        metadata = {"format": "pt"} | ({_MARK: mark} if mark else {})
        save_file({name: apart[name].contiguous() for name in names}, folder / file, metadata)
    if plan.is_sharded:
        index = {"metadata": {**plan.metadata, _MARK: mark}, "weight_map": plan.tensor_to_filename}
        (folder / INDEX).write_text(json.dumps(index, indent=1))
    sums = {name: checksum(tensor.contiguous()) for name, tensor in sorted(apart.items())}
    (folder / CHECKSUMS).write_text(json.dumps(sums, indent=1))


class StoredTensors:
    """Reads tensors of a folder by name, when they are asked for, and checks each.

    Raises ModelError for a missing, foreign or broken file, and for a tensor that is not what was written or not finite.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._mark = folder, ""
        if (folder / INDEX).is_file():
            self._files, self._mark = _index(folder / INDEX)
        elif (folder / SINGLE).is_file():
            with _opened(folder / SINGLE, "cpu") as file:
                self._files = dict.fromkeys(file.keys(), SINGLE)
        else:
            raise ModelError(f"checkpoint {folder}: {SINGLE} and {INDEX} are missing; copy the checkpoint again")
        self._sums = _stored_sums(folder)

    def names(self, prefix: str) -> list[str]:
        """The rests of all tensors' names that begin with `prefix`."""
        return [name.removeprefix(prefix) for name in self._files if name.startswith(prefix)]

    def count(self, prefix: str) -> int:
        """How many numbers the tensors under `prefix` have; reads their shapes alone."""
        names = [name for name in self._files if name.startswith(prefix)]
        numbers = 0
        for file in sorted({self._files[name] for name in names}):
            with _opened(self._folder / file, "cpu") as opened:
                numbers += sum(
                    math.prod(opened.get_slice(name).get_shape()) for name in names if self._files[name] == file
                )
        return numbers

    def where(self, name: str) -> Path:
        """The file that holds a tensor, for a message; for one that is in no file, the one that should have named it."""
        return self._folder / self._files.get(name, INDEX if self._mark else SINGLE)

    def digest(self, prefix: str) -> str:
        """16 hexadecimal digits of a hash of the tensors under `prefix`; holds one of them at a time in memory."""
        hashes = sorted(_hash({name: tensor}) for name, tensor in self._each(prefix, torch.device("cpu")))
        return hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]

    def read(self, prefix: str, device: torch.device) -> dict[str, torch.Tensor]:
        """The tensors whose names begin with `prefix`, by the rest of their names, on a device."""
        return dict(self._each(prefix, device))

    def _each(self, prefix: str, device: torch.device) -> Iterator[tuple[str, torch.Tensor]]:
        chosen = {name: file for name, file in self._files.items() if name.startswith(prefix)}
        for path in sorted({self._folder / file for file in chosen.values()}):
            with _opened(path, str(device)) as file:
                if (file.metadata() or {}).get(_MARK, "") != self._mark:
                    raise ModelError(f"{path}: belongs to another checkpoint; copy the checkpoint again")
                for name in (name for name, there in chosen.items() if self._folder / there == path):
                    try:
                        tensor = file.get_tensor(name)
                    except SafetensorError:
                        raise ModelError(f"{path}: {name} is missing; copy the checkpoint again") from None
                    # Into memory of its own: the file's offsets are not aligned, and kernels' last bits depend on that.
                    tensor = tensor.clone() if tensor.device.type == "cpu" else tensor
                    self._check(path, name, tensor)
                    yield name.removeprefix(prefix), tensor

    def _check(self, path: Path, name: str, tensor: torch.Tensor) -> None:
        if self._sums is not None:
            wanted, found = self._sums.get(name), checksum(tensor)
            if found != wanted:
                raise ModelError(
                    f"{path}: {name}: checksum is {found}, expected {wanted} ({CHECKSUMS}); copy the checkpoint again"
                )
        check_finite(path, name, tensor, "give another checkpoint, or train it again")


def _stored_sums(folder: Path) -> dict[str, str] | None:
    """The checksums of a folder's tensors by name; None for a checkpoint of an earlier version."""
    path = folder / CHECKSUMS
    if not path.is_file():
        return None
    return json_file.texts(json_file.table(path, f"{path}:", _AGAIN), path, _AGAIN)


def _index(path: Path) -> tuple[dict[str, str], str]:
    """The file of each tensor by name, and the mark of the checkpoint."""
    index = json_file.table(path, f"{path}:", _AGAIN)
    named: Any = index.get("weight_map")
    about: Any = index.get("metadata")
    if not isinstance(named, dict) or not isinstance(about, dict) or not isinstance(about.get(_MARK), str):
        raise ModelError(f"{path}: cannot be read (weight_map or metadata.{_MARK} is missing); {_AGAIN}")
    files = json_file.texts(cast(dict[str, Any], named), path, _AGAIN)
    elsewhere = next((file for file in files.values() if Path(file).name != file), None)
    if elsewhere is not None:
        raise ModelError(f"{path}: {refusal.as_json(elsewhere)} is no file of this folder; {_AGAIN}")
    return files, cast(dict[str, Any], about)[_MARK]


def _opened(path: Path, device: str) -> safe_open:
    try:
        return safe_open(path, framework="pt", device=device)
    except FileNotFoundError:
        raise ModelError(f"{path}: does not exist; copy the checkpoint again") from None
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); copy the checkpoint again") from None


def _apart(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors, each with memory of its own: safetensors refuses two names of one weight, here both are stored."""
    seen: set[int] = set()
    apart: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        apart[name] = tensor.clone() if tensor.data_ptr() in seen else tensor
        seen.add(tensor.data_ptr())
    return apart


def _hash(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).cpu().numpy().data)
    return digest.hexdigest()[:16]
