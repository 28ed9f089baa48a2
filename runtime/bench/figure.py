"""One measured part of the networks: its time, operations, FLOP and memory. Used by models.py."""

import itertools
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from runtime.bench.operations import launched
from runtime.bench.systems import synchronize
from runtime.host.clock import robot_time_ns

REPEATS = {"cpu": 15, "cuda": 30}  # timed runs; chosen: the median of 15 moves by less than a run does
_WARM_UP = 2  # runs that are not timed: the first one allocates and chooses kernels
_LONG_S = (
    8.0  # after so long a part has enough of repeats, if there are three; chosen: twenty parts take under three minutes
)
_FEWEST = 3  # runs, however long they take; chosen: less has no median
Inputs = list[tuple[nn.Module, tuple[Any, ...], dict[str, Any]]]


@dataclass
class Figure:
    """One row. `gflop` counts a multiply-add as two; `share` is of the matrix-product rate, None where nothing counts."""

    times_ms: list[float] = field(default_factory=list)
    gflop: float = 0.0
    calls: int = 1  # in one run of its system
    operations: int = 0  # launched in one call, or in a graph's that is replayed
    memory_mib: float = 0.0  # of a GPU, beyond what is held between calls

    def row(self, rate_tflops: float) -> dict[str, float | int | None]:
        """p50 and p99 of one call, and what it makes of the machine."""
        p50, p99 = (float(np.percentile(self.times_ms, q)) for q in (50, 99))
        share = self.gflop / p50 / rate_tflops if self.gflop else None  # GFLOP / ms = TFLOP / s
        return {
            "p50_ms": round(p50, 3),
            "p99_ms": round(p99, 3),
            "calls": self.calls,
            "operations": self.operations,
            "gflop": round(self.gflop, 3),
            "share": None if share is None else round(share, 3),
            "memory_mib": round(self.memory_mib, 1),
        }


def whole(call: Callable[[], None], device: torch.device) -> Figure:
    """A whole call as it is launched now. Its first runs are not timed: of System 2 they encode whole windows."""
    call()
    figure = Figure(gflop=gflop(call), operations=launched(call))
    figure.times_ms, figure.memory_mib = times_ms(call, device), _memory_mib(call, device)
    return figure


def again(call: Callable[[], None], device: torch.device, like: Figure) -> Figure:
    """The same call, launched in another way: what it computes is known from `like`, and cannot be seen in a graph."""
    figure = Figure(times_ms(call, device), like.gflop, like.calls, like.operations)
    figure.memory_mib = _memory_mib(call, device)
    return figure


def times_ms(call: Callable[[], None], device: torch.device) -> list[float]:
    """How long whole runs take, ms each, after two that warm up."""
    for _ in range(_WARM_UP):
        call()
    times: list[float] = []
    for _ in _repeats(device):
        began_ns = robot_time_ns()
        call()
        times.append((robot_time_ns() - began_ns) / 1e6)
    return times


def part(call: Callable[[], None], modules: Sequence[nn.Module], device: torch.device) -> Figure:
    """One part within its run: each call of its modules is timed, and its FLOP are counted with its own input."""
    figure, inputs = Figure(), Inputs()
    with _timed(modules, figure, inputs, device):
        call()
        calls = len(figure.times_ms)
        figure.times_ms.clear()
        for _ in _repeats(device):
            call()
    figure.calls = calls
    module, arguments, named = inputs[-1]

    def alone() -> None:
        module(*arguments, **named)
        synchronize(device)

    figure.gflop, figure.operations, figure.memory_mib = gflop(alone), launched(alone), _memory_mib(alone, device)
    return figure


def gflop(call: Callable[[], Any]) -> float:
    """Multiply-adds of one call, times two."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e9


def _repeats(device: torch.device) -> Generator[int]:
    """As many numbers as there are to be runs: fewer where these take long."""
    began_ns = robot_time_ns()
    for number in itertools.count():
        enough = number >= _FEWEST and robot_time_ns() - began_ns > _LONG_S * 1e9
        if enough or number >= REPEATS[device.type]:
            return
        yield number


def _memory_mib(call: Callable[[], None], device: torch.device) -> float:
    """What a call holds of a GPU at most, beyond what it found there; 0 on a CPU."""
    if device.type != "cuda":
        return 0.0
    held = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    call()
    return (torch.cuda.max_memory_allocated(device) - held) / 2**20


@contextmanager
def _timed(modules: Sequence[nn.Module], figure: Figure, inputs: Inputs, device: torch.device) -> Generator[None]:
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
