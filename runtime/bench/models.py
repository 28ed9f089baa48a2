"""What the networks cost on this machine: each part's time, operations, TFLOP, memory, and the share of the measured
matrix-product rate; launched one by one and as live runs launch them. Called by command.py.

The two systems are those of runtime/bench/systems.py. Results are handed on after every part, and a part for which there is no
time is left out.
"""

import gc
from collections.abc import Callable
from typing import Any

import torch

from runtime.bench.figure import Figure, again, part, whole
from runtime.bench.limit import Allowance
from runtime.bench.systems import Choice, FastBench, Parts, SlowBench, synchronize
from runtime.bench.together import both_at_once, rates
from runtime.host.clock import robot_time_ns
from runtime.policy.networks import prepare_torch

WHOLE_S = 270.0
"""Of a bench from its first line, in s; chosen: with the start it is over in five minutes."""
_BOTH_S = 100.0
"""Kept for both at once: System 2's process needs some 40 s to start at full size, the runs up to 60."""
_SYSTEM1_S = 60.0  # kept for System 1, which loads for some 20 s
_CAPTURED = ", captured"
Result = dict[str, Any]


def run(choice: Choice, say: Callable[[str], None], keep: Callable[[Result], None]) -> Result:
    """All figures of one policy on one device; the two systems one after the other, then both at once.

    Args:
        choice: what is measured.
        say: a line for the terminal.
        keep: is given the results so far, after every part.

    Returns:
        The same, all of them; `left_out` names the parts for which there was no time.
    """
    bench = _Bench(choice, say, keep)
    with torch.inference_mode():
        bench.measure()
    return bench.result


class _Bench:
    def __init__(self, choice: Choice, say: Callable[[str], None], keep: Callable[[Result], None]) -> None:
        self.choice, self.device, self._keep = choice, torch.device(choice.device), keep
        self.time, self._rate = Allowance(WHOLE_S, say), 1.0
        prepare_torch(choice.system2())
        self.result: Result = {
            "choice": choice.model_dump(),
            "device": describe(self.device),
            "dtype": str(choice.torch_dtype()).removeprefix("torch."),
            "weights": {},
            "figures": {},
            "memory_gib": {},
            "left_out": self.time.left_out,
        }

    def measure(self) -> None:
        """Everything; what is kept for later parts is taken from those of System 2 first, then from System 1's."""
        with self.time.part("matrix product") as there_is_time:
            if there_is_time:
                self._rate = matrix_rate_tflops(self.device, self.choice.torch_dtype())
                self._found("matrix_rate_tflops", round(self._rate, 4))
        _give_back(self.device)
        self._system2()
        _give_back(self.device)
        self._system1()

    def _system2(self) -> None:
        slow = self._made("system2", lambda: SlowBench(self.choice), _BOTH_S + _SYSTEM1_S)
        if slow is None:
            return
        kept_s = _BOTH_S + _SYSTEM1_S
        self.result["weights"]["system2"] = slow.slow.weights
        captures = self.choice.numerics == "lean" and self.device.type == "cuda"
        slow.launch(together=False)
        name = "system2: whole run"
        self._figure(name, lambda: whole(slow.run, self.device), kept_s)
        self._parts(slow.parts(), kept_s)
        self._figure("system2: filters", lambda: whole(slow.filters(), self.device), kept_s)
        self._figure("system2: reading an instruction", lambda: whole(slow.read, self.device), kept_s)
        if captures and name in self._figures:
            slow.launch(together=True)
            self._figure(name + _CAPTURED, lambda: again(slow.run, self.device, self._figures[name]), kept_s)
        self._found_peak("system2")
        if self.choice.has_graphs() and name in self._figures:
            onnx = SlowBench(self.choice.model_copy(update={"engine": "onnx"}))
            self._figure(f"{name}, ONNX Runtime", lambda: again(onnx.run, self.device, self._figures[name]), kept_s)

    def _system1(self) -> None:
        fast = self._made("system1", lambda: FastBench(self.choice), _BOTH_S)
        if fast is None:
            return
        self.result["weights"]["system1"] = fast.fast.weights
        name = "system1: whole run"
        self._figure(name, lambda: whole(fast.run, self.device), _BOTH_S)
        self._figure(f"{name}, history not cached", lambda: whole(fast.run_without_history, self.device), _BOTH_S)
        self._parts(fast.parts(), _BOTH_S)
        quick = name
        if self.device.type == "cuda" and name in self._figures:
            quick = name + _CAPTURED
            self._figure(quick, lambda: _quickened(fast, self.device, self._figures[name]), _BOTH_S)
        self._found_peak("system1")
        if self.choice.has_graphs() and name in self._figures:
            self.choice = self.choice.model_copy(update={"engine": "onnx"})
            fast, quick = FastBench(self.choice), f"{name}, ONNX Runtime"
            self._figure(quick, lambda: again(fast.run, self.device, self._figures[name]), _BOTH_S)
        if quick in self._figures:
            self._found("system1_alone", rates(self.result["figures"], quick, fast.config.horizon))
        with self.time.part("both systems at once") as there_is_time:
            if there_is_time:
                self._found("both_at_once_1_to_8", both_at_once(fast, self.choice, 8, max(5.0, self.time.left_s - 45)))

    _figures: dict[str, Figure]

    def _made(self, system: str, make: Callable[[], Any], kept_s: float) -> Any:
        """A system, or None for want of time."""
        made = None
        with self.time.part(f"{system}: making its networks on {self.device.type}", kept_s) as there_is_time:
            if there_is_time:
                began_ns = robot_time_ns()
                made = make()
                synchronize(self.device)
                self._found(f"{system}_made_s", round((robot_time_ns() - began_ns) / 1e9, 1))
        self._figures = {}
        return made

    def _parts(self, parts: Parts, kept_s: float) -> None:
        """Each part by itself. Compiled ones are not timed: what would time a part would be compiled with it."""
        for name, (call, modules) in {} if self.choice.compile else parts.items():
            self._figure(name, lambda call=call, modules=modules: part(call, modules, self.device), kept_s)

    def _figure(self, name: str, measure: Callable[[], Figure], kept_s: float) -> None:
        with self.time.part(name, kept_s) as there_is_time:
            if there_is_time:
                self._figures[name] = measure()
                self.result["figures"][name] = self._figures[name].row(self._rate)
                self._keep(self.result)

    def _found(self, name: str, value: Any) -> None:
        self.result[name] = value
        self._keep(self.result)

    def _found_peak(self, system: str) -> None:
        """The most memory of a GPU that this process has reserved since the system was made, GiB."""
        if self.device.type == "cuda":
            self.result["memory_gib"][system] = round(torch.cuda.max_memory_reserved(self.device) / 2**30, 2)
            self._keep(self.result)


def _quickened(fast: FastBench, device: torch.device, like: Figure) -> Figure:
    fast.make_quick()
    return again(fast.run, device, like)


def _give_back(device: torch.device) -> None:
    """Give the GPU memory back that nobody holds any more; the next peak is counted from here."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


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


def describe(device: torch.device) -> str:
    """The GPU's name, or how many threads of the CPU are used."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} thread(s)"
