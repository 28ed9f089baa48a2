"""The bench of the networks: what it counts is right. Its times are not tested."""

from typing import Any

import numpy as np
import pytest
import torch

from models.sizes import small
from runtime.bench import command, models
from runtime.bench.models import Bench, Figure, gflop, part, suggest
from runtime.errors import RuntimeFault, SettingsError


@pytest.fixture(scope="module")
def bench() -> Bench:
    torch.set_num_threads(1)
    return Bench(small(), torch.device("cpu"), torch.float32)


def test_a_matrix_product_counts_twice_its_multiply_adds() -> None:
    a, b = torch.ones(30, 40), torch.ones(40, 50)
    assert gflop(lambda: a @ b) == pytest.approx(2 * 30 * 40 * 50 / 1e9)


def test_a_share_is_flop_by_time_by_rate() -> None:
    row = Figure([2.0, 2.0, 2.0], gflop=4.0).row(rate_tflops=10.0)
    assert row["share"] == pytest.approx(0.2)
    assert Figure([1.0]).row(10.0)["share"] is None


@torch.inference_mode()
def test_every_part_is_called_as_often_as_the_model_says(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(models._REPEATS, "cpu", 1)  # pyright: ignore[reportPrivateUsage]
    bench.understand()
    bench.act()
    calls = {name: part(call, modules, bench).calls for name, (call, modules) in bench.parts().items()}
    config = small()
    assert calls == {
        "system2: dual-stream block": 2 * 4,  # both windows
        "system2: single-stream block": 2 * 2,
        "system2: VAE, a frame": 2,  # one new frame in each window, the rest from the ring
        "system2: Q-former": 2,
        "system1: image encoder, a set": 1,  # the older set is known
        "system1: denoising step": config.head.steps,
    }


@torch.inference_mode()
def test_an_unknown_history_costs_a_second_set(bench: Bench) -> None:
    bench.act()
    assert gflop(lambda: bench.act(history_known=False)) > gflop(bench.act)


def test_the_suggestion_leaves_room() -> None:
    measured: dict[str, Any] = {
        "system1_p99_ms": 60.0, "system1_p50_ms": 50.0, "system2_p50_ms": 250.0, "system2_p99_ms": 310.0,
    }  # fmt: skip
    made = suggest({"both_at_once_1_to_8": measured})
    assert made["period_s"] == pytest.approx(0.1)
    assert made["ratio"] == 4
    assert np.isclose(made["expected_age_p99_ms"], 710.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--suggest"], "--models"), (["--models", "--size", "huge"], "huge"), (["--models", "--device", "tpu"], "tpu")],
)
def test_bad_flags_are_one_line(arguments: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        command.main(arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_one_line() -> None:
    with pytest.raises(RuntimeFault, match="--device cpu"):
        command.main(["--models", "--device", "cuda"])
