"""What the networks cost on this machine: each part's time, its TFLOP, and the share of the measured matrix-product rate.
Called by command.py. The two systems are those of runtime/bench/systems.py.
"""

import gc
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from runtime.bench.system2_process import Beside
from runtime.bench.systems import Choice, FastBench, Parts, SlowBench, synchronize
from runtime.host.clock import robot_time_ns
from runtime.supervisor.pace import fitting_period_s

_REPEATS = {"cpu": 15, "cuda": 30}  # timed runs; chosen: the median of 15 moves by less than a run does
_WARM_UP = 2  # runs that are not timed: the first one allocates and chooses kernels
_AT_ONCE_RUNS = 240  # of System 1 beside System 2; chosen: thirty cycles of 1:8


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


def run(choice: Choice) -> dict[str, Any]:
    """All figures of one policy on one device; the two systems one after the other, then both at once.

    Compiled networks are timed as wholes: what would time a part would be compiled with it.
    """
    device = torch.device(choice.device)
    with torch.inference_mode():
        rate = matrix_rate_tflops(device, choice.torch_dtype())
        _give_back(device)
        slow = SlowBench(choice)
        weights, memory = {"system2": slow.slow.weights}, dict[str, float]()
        figures = _wholes({"system2: whole run": slow.run}, slow, choice)
        figures |= _wholes({"system2: filters": slow.filters()}, None, choice)
        figures |= _parts(slow.parts(), choice)
        memory["system2"] = _peak_gib(device)
        del slow
        _give_back(device)
        fast = FastBench(choice)
        weights["system1"] = fast.fast.weights
        runs = {
            "system1: whole run": fast.run,
            "system1: whole run, history not known": fast.run_without_history,
        }
        figures |= _wholes(runs, fast, choice)
        figures |= _parts(fast.parts(), choice)
        memory["system1"] = _peak_gib(device)
        if choice.has_graphs():
            choice = choice.model_copy(update={"engine": "onnx"})
            fast = FastBench(choice)
            figures |= _again({"system1: whole run": fast.run, "system2: whole run": SlowBench(choice).run}, figures)
        both = both_at_once(fast, choice, ratio=8)
    result = {
        "choice": choice.model_dump(),
        "device": describe(device),
        "dtype": str(choice.torch_dtype()).removeprefix("torch."),
        "weights": weights,
        "matrix_rate_tflops": round(rate, 4),
        "figures": {name: figure.row(rate) for name, figure in sorted(figures.items())},
        "both_at_once_1_to_8": both,
    }
    return result | ({"memory_gib": memory} if device.type == "cuda" else {})


def _wholes(
    calls: dict[str, Callable[[], None]], system: SlowBench | FastBench | None, choice: Choice
) -> dict[str, Figure]:
    """Runs of a system, compiled if that is the choice; their FLOP are counted before."""
    figures = {name: Figure(gflop=_second(call)) for name, call in calls.items()}
    if choice.compile and system is not None:
        system.compile()
    for name, call in calls.items():
        figures[name].times_ms = times_ms(call, choice.device)
    return figures


def _again(calls: dict[str, Callable[[], None]], figures: dict[str, Figure]) -> dict[str, Figure]:
    """The same runs computed by ONNX Runtime, beside those of torch."""
    return {f"{name}, ONNX Runtime": Figure(times_ms(call, "cpu"), figures[name].gflop) for name, call in calls.items()}


def _second(call: Callable[[], None]) -> float:
    call()  # of System 2 the first encodes whole windows
    return gflop(call)


def _parts(parts: Parts, choice: Choice) -> dict[str, Figure]:
    device = torch.device(choice.device)
    return {} if choice.compile else {name: part(call, modules, device) for name, (call, modules) in parts.items()}


def _peak_gib(device: torch.device) -> float:
    """The most memory of a GPU that this process has reserved, GiB; 0 on a CPU."""
    return round(torch.cuda.max_memory_reserved(device) / 2**30, 2) if device.type == "cuda" else 0.0


def _give_back(device: torch.device) -> None:
    """Give the GPU memory back that nobody holds any more; the next peak is counted from here."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def times_ms(call: Callable[[], None], device: str) -> list[float]:
    """How long whole runs take, ms each, after two that warm up."""
    for _ in range(_WARM_UP):
        call()
    times: list[float] = []
    for _ in range(_REPEATS[device]):
        began_ns = robot_time_ns()
        call()
        times.append((robot_time_ns() - began_ns) / 1e6)
    return times


def part(call: Callable[[], None], modules: Sequence[nn.Module], device: torch.device) -> Figure:
    """One part within its run: each call of its modules is timed, and its FLOP are counted with its own input."""
    figure, inputs = Figure(), list[tuple[nn.Module, tuple[Any, ...], dict[str, Any]]]()
    with _timed(modules, figure, inputs, device):
        call()
        calls = len(figure.times_ms)
        figure.times_ms.clear()
        for _ in range(_REPEATS[device.type]):
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
    device: torch.device,
) -> Generator[None]:
    began_ns = 0

    def before(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        nonlocal began_ns
        inputs[:] = [(module, arguments, named)]
        synchronize(device)
        began_ns = robot_time_ns()

    def after(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        synchronize(device)
        figure.times_ms.append((robot_time_ns() - began_ns) / 1e6)

    handles = [module.register_forward_pre_hook(before, with_kwargs=True) for module in modules]
    handles += [module.register_forward_hook(after) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def gflop(call: Callable[[], Any]) -> float:
    """Multiply-adds of one call, times two."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e9


def matrix_rate_tflops(device: torch.device, dtype: torch.dtype) -> float:
    """The best that a large square matrix product reaches here: the floor under every figure."""
    side = 8192 if device.type == "cuda" else 1024
    a = torch.randn(side, side, device=device, dtype=dtype)
    times: list[int] = []
    for _ in range(12):
        began_ns = robot_time_ns()
        torch.mm(a, a)
        synchronize(device)
        times.append(robot_time_ns() - began_ns)
    return 2 * side**3 / min(times) / 1e3


def both_at_once(fast: FastBench, choice: Choice, ratio: int) -> dict[str, float]:
    """System 1 flat out while System 2, in a process of its own, runs once for every `ratio` runs, or as often as it can.

    System 1 runs until System 2 has answered, so every run of the one is beside the other. Raises RuntimeFault when System
    2's process ends, mostly for want of memory.
    """
    times_ms: list[float] = []
    with Beside(choice) as slow:
        began_ns, asked_at, asked = robot_time_ns(), -ratio, 0
        while len(times_ms) < _AT_ONCE_RUNS or len(slow.times_ms) < asked:
            idle = len(slow.times_ms) == asked
            if idle and len(times_ms) - asked_at >= ratio and len(times_ms) < _AT_ONCE_RUNS:
                slow.ask()
                asked, asked_at = asked + 1, len(times_ms)
            started_ns = robot_time_ns()
            fast.run()
            times_ms.append((robot_time_ns() - started_ns) / 1e6)
            slow.check()
        elapsed_s = (robot_time_ns() - began_ns) / 1e9
        used_gib = _used_gib(fast.device)
    return {
        "system1_chunks_per_s": round(len(times_ms) / elapsed_s, 2),
        "system1_p50_ms": round(float(np.percentile(times_ms, 50)), 2),
        "system1_p99_ms": round(float(np.percentile(times_ms, 99)), 2),
        "system2_runs": asked,
        "system2_p50_ms": round(float(np.percentile(slow.times_ms, 50)), 2),
        "system2_p99_ms": round(float(np.percentile(slow.times_ms, 99)), 2),
    } | ({"gpu_memory_in_use_gib": used_gib} if used_gib else {})


def _used_gib(device: torch.device) -> float:
    """What all processes together hold of a GPU, their contexts included."""
    if device.type != "cuda":
        return 0.0
    free, total = torch.cuda.mem_get_info(device)
    return round((total - free) / 2**30, 2)


def suggest(result: dict[str, Any], frame_hz: float = 30.0) -> dict[str, float]:
    """A period and a ratio for the measured machine, and the age of conditions that they give.

    The period is a whole number of frames that leaves a quarter of the time free; the ratio lets System 2 finish within
    its cycle. A condition's age at use lies between System 2's time and that plus the cycle.
    """
    measured = result["both_at_once_1_to_8"]
    period_s = fitting_period_s(measured["system1_p99_ms"] / 1000, frame_hz)
    slow_s = measured["system2_p99_ms"] / 1000
    ratio = max(1, int(np.ceil(slow_s / period_s)))
    return {
        "period_s": round(period_s, 4),
        "ratio": ratio,
        "expected_age_p50_ms": round(1000 * (measured["system2_p50_ms"] / 1000 + ratio * period_s / 2), 1),
        "expected_age_p99_ms": round(1000 * (slow_s + ratio * period_s), 1),
    }


def describe(device: torch.device) -> str:
    """The GPU's name, or how many threads of the CPU are used."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} thread(s)"
