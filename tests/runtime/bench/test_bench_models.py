"""The bench of the networks: what it counts is right. Its times are not tested."""

import time
from typing import Any

import numpy as np
import pytest
import torch

from models.backbones.backbone import in_float8
from models.lean_system2 import LeanSystem
from models.sizes import small
from models.system2 import SlowSystem
from runtime.bench import command, count, figure, models, together
from runtime.bench.figure import Figure, gflop, part, whole
from runtime.bench.limit import Allowance
from runtime.bench.operations import launched
from runtime.bench.peak_bytes import peak_bytes
from runtime.bench.system2_process import Beside
from runtime.bench.systems import Choice, FastBench, SlowBench, configuration
from runtime.bench.together import suggest
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
    monkeypatch.setitem(figure.REPEATS, "cpu", 1)
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
    sizes = [sum(w.numel() * w.element_size() for w in bench.in_torch.backbone.parameters()) for bench in (kept, plain)]
    assert sizes[0] < 0.4 * sizes[1]
    kept.run()


def test_a_figure_has_time_flop_and_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(figure.REPEATS, "cpu", 3)
    a, b = torch.ones(30, 40), torch.ones(40, 50)

    def call() -> None:
        (a @ b).add_(1).view(-1)

    found = whole(call, torch.device("cpu"))
    assert (found.gflop, found.operations, len(found.times_ms)) == (pytest.approx(2 * 30 * 40 * 50 / 1e9), 2, 3)


def test_composite_operations_count_as_what_a_gpu_launches() -> None:
    x = torch.ones(1, 2, 4, 8, dtype=torch.bfloat16)
    assert launched(lambda: torch.nn.functional.scaled_dot_product_attention(x, x, x)) == 1
    assert launched(lambda: torch.nn.functional.rms_norm(x, (8,))) == 1
    assert launched(lambda: x.to(torch.bfloat16).transpose(1, 2)) == 0
    assert launched(lambda: x.to(torch.float32) + 1) == 2


def test_the_most_memory_is_what_lives_at_once() -> None:
    with torch.device("meta"), torch.inference_mode():
        a = torch.zeros(1000)
        assert peak_bytes(lambda: ((a + 1) + 1) + 1) == 8000
        assert peak_bytes(lambda: (a + 1).add_(1)) == 4000
        assert peak_bytes(lambda: [a + 1 for _ in range(5)]) == 20_000
        q = torch.zeros(1, 4, 1000, 64)
        assert peak_bytes(lambda: torch.nn.functional.scaled_dot_product_attention(q, q, q)) == 4 * q.numel()


def test_a_part_that_takes_too_long_is_left_out_with_a_line() -> None:
    said: list[str] = []
    allowance = Allowance(0.3, said.append)
    with allowance.part("sleepy") as there_is_time:
        assert there_is_time
        try:
            time.sleep(20)
        except Exception:  # noqa: BLE001  what a part catches does not hold its end up
            pytest.fail("caught")
    with allowance.part("late") as there_is_time:
        assert not there_is_time
    assert allowance.left_out == ["sleepy", "late"]
    assert said == ["sleepy ...", "sleepy: left out, it took more than 0 s", "late: left out, no time is left"]


def test_time_that_later_parts_need_is_kept() -> None:
    allowance = Allowance(50.0, lambda _line: None)
    with allowance.part("first", keep_s=60.0) as there_is_time:
        assert not there_is_time
    with allowance.part("second", keep_s=10.0) as there_is_time:
        assert there_is_time


def test_results_are_kept_after_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole run, both at once left out: it takes a process of its own."""
    monkeypatch.setitem(figure.REPEATS, "cpu", 1)
    monkeypatch.setattr(models, "both_at_once", lambda *_given: {"system1_chunks_per_s": 1.0})
    monkeypatch.setattr(Choice, "has_graphs", lambda _choice: False)
    kept: list[int] = []
    result = models.run(CHOICE, lambda _line: None, lambda found: kept.append(len(found["figures"])))
    assert kept == sorted(kept) and kept[-1] == len(result["figures"]) and len(kept) > 12
    assert result["left_out"] == []
    alone = result["system1_alone"]
    assert alone["actions_per_s"] == pytest.approx(alone["chunks_per_s"] * small().horizon, rel=0.01)
    text = "\n".join(command.model_lines(result))
    assert all(name in text for name in result["figures"])
    assert "operations" in text and "actions/s" in text


def test_numerics_storage_and_modulation_are_those_of_a_live_run() -> None:
    assert isinstance(SlowBench(CHOICE).slow, LeanSystem)
    assert isinstance(SlowBench(CHOICE.model_copy(update={"numerics": "plain"})).slow, SlowSystem)
    chosen = Choice(size="full", device="cpu", storage="float8", modulation="host", threads=2).system2()
    assert (chosen.storage, chosen.modulation, chosen.threads) == ("float8", "host", 2)


def test_the_middle_size_has_the_networks_of_the_full_one() -> None:
    middle, full = configuration("middle"), configuration("full")
    assert (middle.image.kind, middle.targets, middle.image_resize) == (
        full.image.kind,
        full.targets,
        full.image_resize,
    )
    assert middle.video.low.frames == full.video.low.frames


def test_the_full_size_costs_what_its_blocks_multiply() -> None:
    """By hand: 20 + 5 blocks of width 3072 over 2 x 1536 and 16 x 256 tokens with 256 words are 22.3 and 30.5 TFLOP."""
    counted = count.run("full")
    assert counted["system2_tflop"]["blocks, short window"] == pytest.approx(22.3, rel=0.01)
    assert counted["system2_tflop"]["blocks, long window"] == pytest.approx(30.5, rel=0.01)
    assert counted["system1_tflop"]["image encoder"] == pytest.approx(2.0, rel=0.01)
    held = counted["memory_gib"]
    frames = 0.13  # two thirds of a VAE's kernels
    assert held["bfloat16, device"]["system2_weights"] == pytest.approx(2 * 7.99e9 / 2**30 - frames, rel=0.01)
    modulation = 20 * 12 * 3072**2 + 5 * 3 * 3072**2
    off = held["bfloat16, device"]["both"] - held["bfloat16, host"]["both"]
    assert off == pytest.approx(2 * modulation / 2**30, abs=0.02), "2.4 billion weights"
    assert held["bfloat16, device"]["fits_24"] and not held["bfloat16, host"]["fits_16"]
    assert held["float8, device"]["fits_16"]
    assert counted["system2_operations"]["all"] <= 1800 < 5000 < counted["system2_operations_plain"]["all"]


@pytest.mark.parametrize("size", ["small", "full-wan"])
def test_every_size_can_be_counted(size: str) -> None:
    counted = count.run(size)
    for system in ("system1", "system2"):
        assert counted[f"{system}_tflop"]["all"] > 0 and counted["memory_gib"]["bfloat16, device"][f"{system}_peak"] > 0


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

    monkeypatch.setattr(together, "AT_ONCE_RUNS", 6)
    monkeypatch.setattr(Beside, "ask", noted)
    monkeypatch.setattr(fast, "run", patient)
    made = together.both_at_once(fast, Choice(size="small", device="cpu"), ratio=3)
    assert made["system2_runs"] == len(asked) == 2
    assert made["system1_p50_ms"] > 0 and made["system2_p50_ms"] > 0


def test_a_slow_system_that_dies_is_one_line(fast: FastBench) -> None:
    with pytest.raises(RuntimeFault, match=r"System 2's process ended \((Assertion|Runtime)Error.*\); give --storage"):
        together.both_at_once(fast, Choice(size="small", device="cuda:99"), ratio=1)


def test_float8_is_counted_as_it_is_kept() -> None:
    chosen = Choice(size="small", device="cpu", storage="float8", numerics="plain")
    kept: Any = SlowBench(chosen).in_torch.backbone.transformer
    small_weights = [weight for weight in kept.parameters() if weight.dtype == torch.float8_e4m3fn]
    assert {id(weight) for weight in in_float8(kept)} == {id(weight) for weight in small_weights}


def test_the_suggestion_leaves_room() -> None:
    measured: dict[str, Any] = {
        "system1_p99_ms": 60.0, "system1_p50_ms": 50.0, "system2_p50_ms": 250.0, "system2_p99_ms": 310.0,
    }  # fmt: skip
    made = suggest(measured)
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
