"""Weights and statistics of tokens that a network cannot have been trained to: of another kind of number, or impossible ones.
Called by pytest; they go through real safetensors files, without checksums, as somebody else's tool would write them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.checkpoint import Checkpoint, save
from models.config.policy import PolicyConfig
from models.errors import ModelError
from models.identity import CHECKSUMS

PARTS = ("slow", "fast", "text")


@pytest.fixture(scope="module")
def stored(
    tiny: PolicyConfig, untrained: Callable[[int], Checkpoint], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An untrained policy whose tokens are scaled."""
    drawn = untrained(1)
    assert tiny.spatial_former.scaled
    folder = tmp_path_factory.mktemp("stored") / "policy"
    save(folder, tiny, drawn.statistics, {"slow": drawn.slow(), "fast": drawn.fast(), "text": drawn.instructor()})
    (folder / CHECKSUMS).unlink()
    return folder


def loaded(folder: Path, part: str) -> torch.nn.Module:
    checkpoint = Checkpoint.load(folder)
    return {"slow": checkpoint.slow, "fast": checkpoint.fast, "text": checkpoint.instructor}[part]()


def refused(stored: Path, folder: Path, changes: dict[str, torch.Tensor], part: str) -> str:
    folder.mkdir()
    for file in stored.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    save_file(load_file(stored / "model.safetensors") | changes, folder / "model.safetensors")
    with pytest.raises(ModelError) as caught:
        loaded(folder, part)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{folder / 'model.safetensors'}: ")
    assert line.endswith("; train it again, or give another checkpoint")
    return line


@pytest.mark.parametrize(
    "dtype",
    [torch.int32, torch.int64, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2],
    ids=str,
)
@pytest.mark.parametrize("part", PARTS)
def test_weights_of_another_type_are_one_line(stored: Path, tmp_path: Path, part: str, dtype: torch.dtype) -> None:
    """All of a part's at once: the first is named."""
    whole = load_file(stored / "model.safetensors")
    changes = {name: tensor.to(dtype) for name, tensor in whole.items() if name.startswith(f"{part}.")}
    line = refused(stored, tmp_path / "changed", changes, part)
    assert f": {part}." in line
    assert f"expected float32, bfloat16 or float16, got {dtype}".replace("torch.", "") in line


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("part", PARTS)
def test_floats_of_any_width_are_taken(stored: Path, tmp_path: Path, part: str, dtype: torch.dtype) -> None:
    for file in stored.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    whole = load_file(stored / "model.safetensors")
    save_file({name: tensor.to(dtype) for name, tensor in whole.items()}, tmp_path / "model.safetensors")
    found = loaded(tmp_path, part).state_dict()
    stored_here = {
        name.removeprefix(f"{part}."): tensor for name, tensor in whole.items() if name.startswith(f"{part}.")
    }
    assert stored_here
    for name, tensor in stored_here.items():
        torch.testing.assert_close(found[name], tensor.to(dtype).to(found[name].dtype), rtol=0, atol=0)


@pytest.mark.parametrize("former", ["spatial_former", "motion_former"])
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("spread", 0.0, "spread: must be at least 0.001 everywhere, got 0"),
        ("spread", -1.0, "spread: must be at least 0.001 everywhere, got -1"),
        ("batches", -1.0, "batches: must be at least 0, got -1"),
    ],
)
def test_statistics_of_tokens_that_cannot_be_are_one_line(
    stored: Path, tmp_path: Path, former: str, name: str, value: float, said: str
) -> None:
    whole = f"slow.{former}.scale.{name}"
    changed = load_file(stored / "model.safetensors")[whole].clone()
    changed.view(-1)[-1] = value
    assert f": slow.{former}.scale.{said};" in refused(stored, tmp_path / "changed", {whole: changed}, "slow")


def test_a_spread_as_small_as_training_gives_it_is_taken_in_bfloat16(stored: Path, tmp_path: Path) -> None:
    for file in stored.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    whole = load_file(stored / "model.safetensors")
    whole["slow.spatial_former.scale.spread"] = torch.full_like(
        whole["slow.spatial_former.scale.spread"], 1e-3
    ).bfloat16()
    save_file(whole, tmp_path / "model.safetensors")
    spread = loaded(tmp_path, "slow").state_dict()["spatial_former.scale.spread"]
    assert spread.max() == spread.min() == torch.tensor(1e-3).bfloat16().float()
