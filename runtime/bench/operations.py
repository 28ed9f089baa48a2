"""How many operations a call launches: what costs time on a GPU where each is small. Used by the bench of the networks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_KERNELS = ("rms_norm", "scaled_dot_product_attention")
"""Composite operations for which a GPU has one kernel, and a CPU, or a tensor without content, several operations."""


class _Launches(TorchDispatchMode):
    """Counts operations that compute or copy; views start nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func.overloadpacket.__name__ in _KERNELS:
            self.count += 1
            return func(*args, **(kwargs or {}))
        with self:  # inference mode shows composite operations whole
            parts = func.decompose(*args, **(kwargs or {}))
        if parts is not NotImplemented:
            return parts
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def launched(call: Callable[[], Any]) -> int:
    """The operations of one call, views left out; a graph that is replayed is none, what it holds was launched before."""
    with torch.inference_mode(), _Launches() as seen:
        call()
    return seen.count
