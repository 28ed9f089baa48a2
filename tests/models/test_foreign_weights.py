"""Weights as other trainers write them: every form of file, and what is refused. Called by pytest."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from models.errors import ModelError
from models.foreign_weights import stored_in

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b.bias": torch.tensor([1.5, -2.0], dtype=torch.bfloat16)}


def same(path: Path) -> bool:
    """Whether what is read is what was written, in value, shape and type."""
    stored = stored_in(path)
    read = {name: stored[name]() for name in stored}
    return read.keys() == WEIGHTS.keys() and all(torch.equal(read[name], WEIGHTS[name]) for name in WEIGHTS)


def shards(folder: Path) -> None:
    """Two shards and the index that the hub's tools write."""
    files = {"a.weight": "x-00001-of-00002.safetensors", "b.bias": "x-00002-of-00002.safetensors"}
    for name, file in files.items():
        save_file({name: WEIGHTS[name]}, folder / file)
    (folder / "x.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))


@pytest.mark.parametrize("by", ["file", "folder"])
def test_one_safetensors_file_is_read(by: str, tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "checkpoint.safetensors")
    assert same(tmp_path if by == "folder" else tmp_path / "checkpoint.safetensors")


def test_shards_are_read_by_their_index_beside_other_weights(tmp_path: Path) -> None:
    """As Wan's own repository: the VAE and the text encoder lie in the same folder."""
    shards(tmp_path)
    torch.save(WEIGHTS, tmp_path / "Wan2.2_VAE.pth")
    save_file({"other": torch.zeros(1)}, tmp_path / "other.safetensors")
    assert same(tmp_path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
@pytest.mark.parametrize("zipped", [True, False], ids=["present", "legacy"])
@pytest.mark.parametrize("inside", [(), ("state_dict",), ("module",), ("model", "state_dict")], ids=str)
def test_what_torch_saved_is_read(suffix: str, zipped: bool, inside: tuple[str, ...], tmp_path: Path) -> None:
    saved: Any = WEIGHTS
    for name in inside:
        saved = {name: saved, "epoch": 3, "optimizer": {"state": {}}}
    torch.save(saved, tmp_path / f"step{suffix}", _use_new_zipfile_serialization=zipped)
    assert same(tmp_path / f"step{suffix}")


def several(folder: Path) -> Path:
    for name in ("first.pt", "second.bin"):
        torch.save(WEIGHTS, folder / name)
    return folder


def both(folder: Path) -> Path:
    torch.save({"model": WEIGHTS, "ema": WEIGHTS}, folder / "step.pt")
    return folder


def numbers(folder: Path) -> Path:
    torch.save({"epoch": 3}, folder / "step.pt")
    return folder


def an_object(folder: Path) -> Path:
    torch.save({"model": torch.nn.Linear(1, 1)}, folder / "step.pt")
    return folder


def truncated(folder: Path) -> Path:
    save_file(WEIGHTS, folder / "x.safetensors")
    (folder / "x.safetensors").write_bytes((folder / "x.safetensors").read_bytes()[:-3])
    return folder


def without_a_shard(folder: Path) -> Path:
    shards(folder)
    (folder / "x-00002-of-00002.safetensors").unlink()
    return folder


def an_index_of_elsewhere(folder: Path) -> Path:
    (folder / "x.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../x.safetensors"}}))
    return folder


def damaged_index(folder: Path) -> Path:
    (folder / "x.safetensors.index.json").write_text("{")
    return folder


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder, r"holds no weights \(\*\.safetensors, \*\.pt, \*\.pth, \*\.bin\); give the file"),
        (several, r"holds several, first\.pt and second\.bin; give the file itself"),
        (both, r"step\.pt: holds both 'model' and 'ema'; save the one to be used"),
        (numbers, r"step\.pt: expected tensors by name.*, got 'epoch': int; save a state_dict"),
        (an_object, r"step\.pt: holds more than tensors \(.*\), which may run code and is not read; save its weights"),
        (truncated, r"x\.safetensors: cannot be read \(.*\); fetch it again .*or copy it again"),
        (without_a_shard, r"x-00002-of-00002\.safetensors: cannot be read \(.*No such file.*\); .*or copy it again"),
        (an_index_of_elsewhere, r"index\.json: '\.\./x\.safetensors' is no file of this folder; copy the folder again"),
        (damaged_index, r"x\.safetensors\.index\.json: cannot be read \(.*\); copy the folder again"),
    ],
)
def test_what_cannot_be_read_is_one_line(make: Callable[[Path], Path], said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=said) as error:
        stored_in(make(tmp_path))
    assert "\n" not in str(error.value)
