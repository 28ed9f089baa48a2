"""What the networks cost on this machine: each part's time, its TFLOP, and the share of the measured matrix-product rate.

Random weights serve: time does not depend on them. As a program (`SIZE DEVICE THREADS`) it is System 2 as a process of its
own, for the figures of both systems at once.
"""

import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models.backbones.backbone import VideoText
from models.checkpoint import Checkpoint
from models.config import PolicyConfig
from models.fast import FastSystem
from models.policy import ConditionTokens, InstructionEmbedding
from models.slow import SlowSystem
from models.window import LatentRing
from runtime.clock import now_ns

_WORDS = 32
_REPEATS = {"cpu": 15, "cuda": 30}
_WARM_UP = 2
_AT_ONCE_RUNS = 48
_BUSY_SHARE = 0.75  # of its period that System 1 may take


@dataclass
class Figure:
    """One row. `gflop` counts a multiply-add as two; `share` is of the matrix-product rate, None where nothing counts."""

    times_ms: list[float] = field(default_factory=list)
    gflop: float = 0.0
    calls: int = 1  # in one run of its system

    def row(self, rate_tflops: float) -> dict[str, float | int | None]:
        """p50 and p99 of one call, and what it makes of the machine."""
        p50, p99 = (float(np.percentile(self.times_ms, q)) for q in (50, 99))
        share = self.gflop / p50 / rate_tflops if self.gflop else None  # GFLOP / ms = TFLOP / s
        return {
            "p50_ms": round(p50, 3),
            "p99_ms": round(p99, 3),
            "calls": self.calls,
            "gflop": round(self.gflop, 3),
            "share": None if share is None else round(share, 3),
        }


class Bench:
    """Both systems of a policy with random weights on one device, and fixed inputs for them."""

    def __init__(self, config: PolicyConfig, device: torch.device, dtype: torch.dtype) -> None:
        self.config, self.device, self.dtype = config, device, dtype
        rest = np.zeros(config.joints)
        checkpoint = Checkpoint.untrained(config.name, 0, rest, np.ones(config.joints))
        self.slow: SlowSystem = checkpoint.slow().to(device, dtype)
        self.fast: FastSystem = checkpoint.fast().to(device, dtype)
        random = np.random.default_rng(0)
        self.pictures = tuple(random.integers(0, 255, (480, 640, 3), np.uint8) for _ in config.cameras)
        video = config.video.backbone
        self.instruction = InstructionEmbedding(
            torch.randn(1, _WORDS, config.text.width, device=device, dtype=dtype),
            VideoText(
                torch.randn(1, _WORDS, video.text_dim, device=device, dtype=dtype),
                torch.randn(1, video.pooled_dim, device=device, dtype=dtype),
            ),
        )
        self.tokens = ConditionTokens(
            torch.randn(config.spatial_former.tokens, config.spatial_former.width),
            torch.randn(config.motion_former.tokens, config.motion_former.width),
        )
        self._frame = self._set = 0

    def understand(self) -> None:
        """One run of System 2 as it comes in a run: one new frame in each window, then the tokens."""
        slow = self.slow
        self._frame += 1
        for ring in (slow.high, slow.low):
            for number in self.numbers(ring):
                slow.encode(ring, number, self.pictures[0])
        slow.perceive(self.numbers(slow.high), self.numbers(slow.low), self.instruction)
        self.wait()

    def numbers(self, ring: LatentRing) -> list[int]:
        """The frames of a window at this moment, oldest first."""
        return list(range(self._frame - ring.window.frames + 1, self._frame + 1))

    def act(self, history_known: bool = True) -> None:
        """One run of System 1; with `history_known` the older set of pictures is encoded already (that of the last run)."""
        fast = self.fast
        self._set += 1
        before = (self._set - 1, 1) if history_known else (self._set, 0)
        keys = [before, (self._set, 1)]
        sets = [fast.look(key, torch.empty(0) if fast.has(key) else fast.prepare(self.pictures)) for key in keys]
        nothing = np.zeros((0, self.config.joints))
        fast.act(sets, np.zeros(self.config.joints), self.instruction, self.tokens, 0.2, nothing, 0)
        self.wait()

    def wait(self) -> None:
        """Until the device has done everything."""
        synchronize(self.device)

    def parts(self) -> dict[str, tuple[Callable[[], None], Sequence[nn.Module]]]:
        """Name -> the run in which it is called, and the modules that count as this part."""
        slow, fast = self.slow, self.fast
        parts: dict[str, tuple[Callable[[], None], Sequence[nn.Module]]] = {
            "system2: VAE, a frame": (self.understand, [slow.backbone.encoder]),
            "system2: Q-former": (self.understand, [slow.spatial_former, slow.motion_former]),
            "system1: image encoder, a set": (self.act, [fast.images]),
            "system1: denoising step": (self.act, [fast.head]),
        }
        for kind, blocks in slow.backbone.blocks().items():
            parts[f"system2: {kind} block"] = (self.understand, blocks)
        return parts


def run(config: PolicyConfig, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """All figures of one policy on one device."""
    with torch.inference_mode():
        bench = Bench(config, device, dtype)
        rate = matrix_rate_tflops(device, dtype)
        figures = {
            "system2: whole run": whole(bench.understand, device),
            "system1: whole run": whole(bench.act, device),
            "system1: whole run, history not known": whole(lambda: bench.act(False), device),
        }
        for name, (call, modules) in bench.parts().items():
            figures[name] = part(call, modules, bench)
        figures["system2: filters"] = filters(bench)
        result: dict[str, Any] = {
            "size": config.name,
            "device": describe(device),
            "dtype": str(dtype).removeprefix("torch."),
            "weights": {
                "system2": sum(weight.numel() for weight in bench.slow.parameters()),
                "system1": sum(weight.numel() for weight in bench.fast.parameters()),
            },
            "matrix_rate_tflops": round(rate, 4),
            "figures": {name: figure.row(rate) for name, figure in sorted(figures.items())},
        }
        if device.type == "cuda":
            result["memory_gib"] = round(torch.cuda.max_memory_allocated(device) / 2**30, 2)
        result["both_at_once_1_to_8"] = both_at_once(bench, ratio=8)
    return result


def whole(call: Callable[[], None], device: torch.device) -> Figure:
    """A whole run."""
    for _ in range(_WARM_UP):
        call()
    figure = Figure()
    for _ in range(_REPEATS[device.type]):
        began_ns = now_ns()
        call()
        figure.times_ms.append((now_ns() - began_ns) / 1e6)
    figure.gflop = gflop(call)
    return figure


def part(call: Callable[[], None], modules: Sequence[nn.Module], bench: Bench) -> Figure:
    """One part within its run: each call of its modules is timed, and its FLOP are counted with its own input."""
    figure, inputs = Figure(), list[tuple[nn.Module, tuple[Any, ...], dict[str, Any]]]()
    with _timed(modules, figure, inputs, bench):
        call()
        calls = len(figure.times_ms)
        figure.times_ms.clear()
        for _ in range(_REPEATS[bench.device.type]):
            call()
    figure.calls = calls
    module, arguments, named = inputs[-1]
    figure.gflop = gflop(lambda: module(*arguments, **named))
    return figure


@contextmanager
def _timed(
    modules: Sequence[nn.Module],
    figure: Figure,
    inputs: list[tuple[nn.Module, tuple[Any, ...], dict[str, Any]]],
    bench: Bench,
) -> Generator[None]:
    began_ns = 0

    def before(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        nonlocal began_ns
        inputs[:] = [(module, arguments, named)]
        bench.wait()
        began_ns = now_ns()

    def after(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        bench.wait()
        figure.times_ms.append((now_ns() - began_ns) / 1e6)

    handles = [module.register_forward_pre_hook(before, with_kwargs=True) for module in modules]
    handles += [module.register_forward_hook(after) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def filters(bench: Bench) -> Figure:
    """Both filters on the features of both windows."""
    slow, text = bench.slow, bench.instruction.video
    high, low = (
        slow.backbone.features(ring.window_latents(bench.numbers(ring)), text) for ring in (slow.high, slow.low)
    )

    def call() -> None:
        slow.filter(high, low)
        bench.wait()

    return whole(call, bench.device)


def gflop(call: Callable[[], Any]) -> float:
    """Multiply-adds of one call, times two."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e9


def synchronize(device: torch.device) -> None:
    """Wait for a GPU; a CPU is never behind."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate_tflops(device: torch.device, dtype: torch.dtype) -> float:
    """The best that a large square matrix product reaches here: the floor under every figure."""
    side = 8192 if device.type == "cuda" else 1024
    a = torch.randn(side, side, device=device, dtype=dtype)
    times: list[int] = []
    for _ in range(12):
        began_ns = now_ns()
        torch.mm(a, a)
        synchronize(device)
        times.append(now_ns() - began_ns)
    return 2 * side**3 / min(times) / 1e3


def both_at_once(bench: Bench, ratio: int) -> dict[str, float]:
    """System 1 flat out while System 2, in a process of its own, runs once for every `ratio` runs."""
    arguments = [bench.config.name, str(bench.device), str(torch.get_num_threads())]
    command = [sys.executable, "-m", "runtime.bench.models", *arguments]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None and child.stdout is not None
    try:
        child.stdout.readline()  # it is warm
        times_ms: list[float] = []
        began_ns = now_ns()
        for count in range(_AT_ONCE_RUNS):
            if count % ratio == 0:
                child.stdin.write("run\n")
                child.stdin.flush()
            started_ns = now_ns()
            bench.act()
            times_ms.append((now_ns() - started_ns) / 1e6)
        elapsed_s = (now_ns() - began_ns) / 1e9
        child.stdin.close()
        slow_ms = [float(line) for line in child.stdout.read().split()]
    finally:
        child.kill()
        child.wait()
    return {
        "system1_chunks_per_s": round(_AT_ONCE_RUNS / elapsed_s, 2),
        "system1_p50_ms": round(float(np.percentile(times_ms, 50)), 2),
        "system1_p99_ms": round(float(np.percentile(times_ms, 99)), 2),
        "system2_p50_ms": round(float(np.percentile(slow_ms, 50)), 2),
        "system2_p99_ms": round(float(np.percentile(slow_ms, 99)), 2),
    }


def suggest(result: dict[str, Any], frame_hz: float = 30.0) -> dict[str, float]:
    """A period and a ratio for the measured machine, and the age of conditions that they give.

    The period is a whole number of frames that leaves a quarter of the time free; the ratio lets System 2 finish within
    its cycle. A condition's age at use lies between System 2's time and that plus the cycle.
    """
    measured = result["both_at_once_1_to_8"]
    frame_s = 1 / frame_hz
    period_s = frame_s * max(1, int(np.ceil(measured["system1_p99_ms"] / 1000 / _BUSY_SHARE / frame_s)))
    slow_s = measured["system2_p99_ms"] / 1000
    ratio = max(1, int(np.ceil(slow_s / period_s)))
    return {
        "period_s": round(period_s, 4),
        "ratio": ratio,
        "expected_age_p50_ms": round(1000 * (measured["system2_p50_ms"] / 1000 + ratio * period_s / 2), 1),
        "expected_age_p99_ms": round(1000 * (slow_s + ratio * period_s), 1),
    }


def describe(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} thread(s)"


def precision(device: torch.device) -> torch.dtype:
    """bfloat16 on a GPU, float32 on a CPU."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def main(size: str, device_name: str, threads: int) -> None:
    """System 2 alone: a run for every line on the standard input; prints each run's milliseconds."""
    from models.sizes import by_name

    torch.set_num_threads(threads)
    device = torch.device(device_name)
    with torch.inference_mode():
        bench = Bench(by_name(size), device, precision(device))
        bench.understand()
        sys.stdout.write("warm\n")
        sys.stdout.flush()
        for _ in sys.stdin:
            began_ns = now_ns()
            bench.understand()
            sys.stdout.write(f"{(now_ns() - began_ns) / 1e6:.3f}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
