"""What a CUDA graph can capture, looked for without a GPU: operations are counted, and those that wait for the device refused.
For the tests of everything that is to be captured."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_WAITS = (
    "_local_scalar_dense",
    "item",
    "nonzero",
    "masked_select",
    "unique",
    "_unique",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
)
"""Their result, or its size, has to be known on the CPU before the next operation: a capture ends with an error there."""
_PYTHON_NUMBERS = ("lift_fresh", "lift_fresh_copy")
"""A tensor made of several Python numbers: on a device they are copied there, and the copy waits."""
_VIEWS = ("detach", "alias")  # bookkeeping: neither launches a kernel nor describes an array anew


class Capturable(TorchDispatchMode):
    """Counts leaf operations while it is entered; raises at one that a capture would refuse.

    `launches` leaves views out, which start no kernel on a device. `operations` has them all, by name. `tolist` and `numpy` are
    not seen on a CPU: tracing with `fullgraph=True` finds those.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()
        self._views: Counter[str] = Counter()

    @property
    def launches(self) -> int:
        """How many operations compute something, each a kernel or more."""
        return self.operations.total() - self._views.total()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name: str = func.overloadpacket.__name__
        if name in _WAITS:
            raise AssertionError(f"{func}: waits for the device, which nothing captured may do")
        if name == "index" and any(_picks(index) for index in args[1]):
            raise AssertionError(f"{func}: picks by a mask, so the size of its result is not known")
        if name in _PYTHON_NUMBERS and args[0].ndim:  # a single number is filled in where it is needed
            raise AssertionError(
                f"{func}: copies Python's numbers to the device, which waits; make a buffer of them before"
            )
        with self:
            parts = func.decompose(*args, **(kwargs or {}))
        if parts is not NotImplemented:
            return parts
        if name not in _VIEWS:
            self.operations[name] += 1
            if func.is_view:
                self._views[name] += 1
        return func(*args, **(kwargs or {}))


def _picks(index: torch.Tensor | None) -> bool:
    return index is not None and index.dtype in (torch.bool, torch.uint8)
