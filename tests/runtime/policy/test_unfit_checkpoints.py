"""A checkpoint that cannot be used is refused as one line when evaluation or what-if opens it, whatever is wrong with it.
Called by pytest; each is the golden policy with one thing changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from runtime.config.loading import load_settings
from runtime.errors import RuntimeFault
from runtime.policy.opening import open_policy

GOLDEN = Path(__file__).parents[1] / "golden" / "policy"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the golden policy."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "policy"))


def configured(folder: Path, **filters: float | None) -> None:
    values: Any = json.loads((folder / "config.json").read_text())
    values["filters"] |= filters
    (folder / "config.json").write_text(json.dumps(values))


def weighed(folder: Path, change: Callable[[str, torch.Tensor], torch.Tensor]) -> None:
    path = folder / "model.safetensors"
    save_file({name: change(name, tensor) for name, tensor in load_file(path).items()}, path)


def enormous(folder: Path, part: str) -> None:
    weighed(folder, lambda name, tensor: torch.full_like(tensor, 3e38) if name.startswith(part) else tensor)


def whole_numbers(folder: Path, part: str) -> None:
    weighed(folder, lambda name, tensor: tensor.to(torch.int32) if name.startswith(part) else tensor)


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize("engine", ["torch", "onnx"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: configured(folder, low_bin=100), "config.json cannot be read (filters.low_bin: bins must be 0 to 2"),
        (lambda folder: configured(folder, low_hz=1e5, high_hz=1e6), "motion filter: 100000.0 to 1000000.0 Hz holds none"),
        (lambda folder: enormous(folder, "slow."), "its first condition is not finite; train it again"),
        (lambda folder: enormous(folder, "fast."), "its first chunk is not finite; train it again"),
        (lambda folder: whole_numbers(folder, "text."), "expected float32, bfloat16 or float16, got int32"),
        (lambda folder: whole_numbers(folder, "slow."), "expected float32, bfloat16 or float16, got int32"),
        (cut, "model.safetensors: cannot be read"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors"),
    ],
    ids=["bins", "hertz", "huge slow", "huge fast", "int text", "int slow", "cut", "none"],
)  # fmt: skip
def test_what_is_wrong_is_one_line(folder: Path, change: Callable[[Path], object], said: str, engine: str) -> None:
    change(folder)
    flags = ["--profile", "sim", "--policy.checkpoint", str(folder)]
    settings = load_settings([*flags, "--system1.engine", engine, "--system2.engine", engine])
    with pytest.raises(RuntimeFault) as caught:
        open_policy(settings)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
