"""CUDA graphs: calls on tensors of fixed sizes whose kernels are launched together, the same ones at every replay.

Used by models/system1.py and models/lean_system2.py. On a CPU the calls are made as they are.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch

log = logging.getLogger(__name__)

Call = Callable[..., tuple[torch.Tensor, ...]]
"""Tensors to tensors; the same kernels for the same sizes, and none of them waits for the device."""
_KEPT = 12
"""Graphs. Chosen: System 2 needs five, of which two depend on the instruction's length: room for four lengths."""
_WARM_UP = 2  # runs before a capture, in which libraries choose kernels and get their workspaces


class Graphs:
    """The graphs of one system, captured when a call first comes with such sizes; they share their working memory.

    None is replayed while another runs, and outputs are copied at once, so sharing changes nothing.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], Captured] = OrderedDict()
        self._pool: Any = None

    def __call__(self, name: str, call: Call, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs of `call`, in memory of their own.

        Args:
            name: tells the call from others; the sizes of its inputs need not be part of it.
            call: on a GPU it is called only to be captured.
            inputs: all on one device.
        """
        if inputs[0].device.type != "cuda":
            return call(*inputs)
        key = (name, *((tuple(given.shape), given.dtype) for given in inputs))
        if key not in self._kept:
            self._capture(key, call, inputs)
        self._kept.move_to_end(key)
        return self._kept[key](*inputs)

    def _capture(self, key: tuple[Any, ...], call: Call, inputs: tuple[torch.Tensor, ...]) -> None:
        sizes = ", ".join("x".join(map(str, given.shape)) for given in inputs)
        log.info("%s: capturing its kernels for %s", key[0], sizes)
        began_s = time.monotonic()
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        self._kept[key] = Captured(call, inputs, self._pool)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        log.info("%s: captured in %.1f s", key[0], time.monotonic() - began_s)


class Captured:
    """One call as a graph over buffers of its own."""

    def __init__(self, call: Call, inputs: tuple[torch.Tensor, ...], pool: Any) -> None:
        with torch.cuda.device(inputs[0].device):
            self._inputs = tuple(given.clone(memory_format=torch.contiguous_format) for given in inputs)
            beside = torch.cuda.Stream()
            beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(beside):
                for _ in range(_WARM_UP):
                    call(*self._inputs)
            torch.cuda.current_stream().wait_stream(beside)
            self._graph = torch.cuda.CUDAGraph()
            # Only this thread may not call what a capture forbids: another may be busy with pictures.
            with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
                self._outputs = call(*self._inputs)

    def __call__(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs for inputs of the sizes that were captured."""
        with torch.cuda.device(self._inputs[0].device):
            for buffer, given in zip(self._inputs, inputs, strict=True):
                buffer.copy_(given)
            self._graph.replay()
            return tuple(output.clone() for output in self._outputs)
