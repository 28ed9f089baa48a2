"""The bench of the networks: what it counts is right. Its times are not tested."""

import time
from typing import Any

import numpy as np
import pytest
import torch

from models.backbones.backbone import in_float8
from models.sizes import small
from runtime.bench import command, count, models
from runtime.bench.models import Figure, gflop, part, suggest
from runtime.bench.system2_process import Beside
from runtime.bench.systems import Choice, FastBench, SlowBench
from runtime.errors import RuntimeFault, SettingsError

CHOICE = Choice(size="small", device="cpu")


@pytest.fixture(scope="module")
def slow() -> SlowBench:
    torch.set_num_threads(1)
    return SlowBench(CHOICE)


@pytest.fixture(scope="module")
def fast() -> FastBench:
    torch.set_num_threads(1)
    return FastBench(CHOICE)


def test_a_matrix_product_counts_twice_its_multiply_adds() -> None:
    a, b = torch.ones(30, 40), torch.ones(40, 50)
    assert gflop(lambda: a @ b) == pytest.approx(2 * 30 * 40 * 50 / 1e9)


def test_a_share_is_flop_by_time_by_rate() -> None:
    row = Figure([2.0, 2.0, 2.0], gflop=4.0).row(rate_tflops=10.0)
    assert row["share"] == pytest.approx(0.2)
    assert Figure([1.0]).row(10.0)["share"] is None


@torch.inference_mode()
def test_every_part_is_called_as_often_as_the_model_says(
    slow: SlowBench, fast: FastBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(models._REPEATS, "cpu", 1)  # pyright: ignore[reportPrivateUsage]
    slow.run()
    fast.run()
    parts = slow.parts() | fast.parts()
    calls = {name: part(call, modules, torch.device("cpu")).calls for name, (call, modules) in parts.items()}
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
def test_an_unknown_history_costs_a_second_set(fast: FastBench) -> None:
    fast.run()
    assert gflop(fast.run_without_history) > gflop(fast.run)


@torch.inference_mode()
def test_random_weights_stay_finite_through_every_layer(slow: SlowBench, fast: FastBench) -> None:
    slow.run()
    tokens = slow.slow.encode_video(slow.numbers(slow.slow.high), slow.numbers(slow.slow.low), slow.instruction)
    assert bool(tokens.spatial.isfinite().all() and tokens.motion.isfinite().all())
    assert not any(weight.is_meta for network in (slow.in_torch, fast.in_torch) for weight in network.parameters())


@torch.inference_mode()
def test_float8_takes_little_more_than_a_quarter_of_float32_and_still_runs() -> None:
    kept = SlowBench(Choice(size="small", device="cpu", storage="float8"))
    plain = SlowBench(CHOICE)
    sizes = [
        sum(w.numel() * w.element_size() for w in bench.in_torch.backbone.transformer.parameters())
        for bench in (kept, plain)
    ]
    assert sizes[0] < 0.4 * sizes[1]
    kept.run()


def test_compiled_networks_are_counted_before_and_timed_as_wholes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(models._REPEATS, "cpu", 3)  # pyright: ignore[reportPrivateUsage]
    a, b, compiled = torch.ones(30, 40), torch.ones(40, 50), [False]

    class Bench(FastBench):
        def __init__(self) -> None:
            pass

        def compile(self) -> None:
            compiled[0] = True

    seen: list[bool] = []

    def run() -> None:
        seen.append(compiled[0])
        if not compiled[0]:
            torch.mm(a, b)

    chosen = Choice(size="small", device="cpu", compile=True)
    figures = models._wholes({"run": run}, Bench(), chosen)  # pyright: ignore[reportPrivateUsage]
    assert figures["run"].gflop == pytest.approx(2 * 30 * 40 * 50 / 1e9)
    assert len(figures["run"].times_ms) == 3 and seen[-3:] == [True] * 3
    assert models._parts({"part": (run, [torch.nn.Linear(2, 2)])}, chosen) == {}  # pyright: ignore[reportPrivateUsage]


def test_the_full_size_costs_what_its_blocks_multiply() -> None:
    """By hand: 20 + 5 blocks of width 3072 over 2 x 1536 and 16 x 256 tokens with 256 words are 22.3 and 30.5 TFLOP."""
    counted = count.run("full")
    assert counted["system2_tflop"]["blocks, short window"] == pytest.approx(22.3, rel=0.01)
    assert counted["system2_tflop"]["blocks, long window"] == pytest.approx(30.5, rel=0.01)
    assert counted["system1_tflop"]["image encoder"] == pytest.approx(2.0, rel=0.01)
    assert counted["system2_gib"]["bfloat16"] == pytest.approx(2 * 7.99e9 / 2**30, rel=0.01)


@pytest.mark.parametrize("size", ["small", "full-wan"])
def test_every_size_can_be_counted(size: str) -> None:
    counted = count.run(size)
    for system in ("system1", "system2"):
        assert counted[f"{system}_tflop"]["all"] > 0 and counted[f"{system}_gib"]["bfloat16"] > 0


def test_every_run_of_the_slow_system_is_beside_the_fast_one(fast: FastBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """System 1 waits for every third answer here: on a loaded machine System 2 would else be as often as it can, once."""
    asked: list[Beside] = []
    ask, run = Beside.ask, fast.run
    runs = iter(range(1, 1000))

    def noted(slow: Beside) -> None:
        asked.append(slow)
        ask(slow)

    def patient() -> None:
        run()
        if next(runs) % 3 == 0:
            deadline = time.monotonic() + 60
            while len(asked[0].times_ms) < len(asked):
                assert time.monotonic() < deadline
                time.sleep(0.005)

    monkeypatch.setattr(models, "_AT_ONCE_RUNS", 6)
    monkeypatch.setattr(Beside, "ask", noted)
    monkeypatch.setattr(fast, "run", patient)
    made = models.both_at_once(fast, Choice(size="small", device="cpu"), ratio=3)
    assert made["system2_runs"] == len(asked) == 2
    assert made["system1_p50_ms"] > 0 and made["system2_p50_ms"] > 0


def test_a_slow_system_that_dies_is_one_line(fast: FastBench) -> None:
    with pytest.raises(RuntimeFault, match=r"System 2's process ended \(RuntimeError.*\); give --storage float8"):
        models.both_at_once(fast, Choice(size="small", device="unknown"), ratio=1)


def test_float8_is_counted_as_it_is_kept() -> None:
    kept = SlowBench(Choice(size="small", device="cpu", storage="float8")).in_torch.backbone.transformer
    small_weights = [weight for weight in kept.parameters() if weight.dtype == torch.float8_e4m3fn]
    assert {id(weight) for weight in in_float8(kept)} == {id(weight) for weight in small_weights}


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
    [
        (["--suggest"], "--models"),
        (["--count"], "--models"),
        (["--models", "--size", "huge"], "huge"),
        (["--models", "--device", "tpu"], "tpu"),
    ],
)
def test_bad_flags_are_one_line(arguments: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        command.main(arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_one_line() -> None:
    with pytest.raises(RuntimeFault, match="--device cpu"):
        command.main(["--models", "--device", "cuda"])
