"""What a network holds of a card at most, counted on tensors without content. Used by count.py.

Every tensor between operations counts as long as it lives; libraries' working memory does not, which attention in one kernel
keeps small.
"""

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_bytes(call: Callable[[], Any]) -> int:
    """The most bytes of tensors that a call makes and holds at once; its inputs and weights are not among them."""
    with _Live() as seen:
        kept = call()
    del kept
    return seen.most


class _Live(TorchDispatchMode):
    """Adds up the memory of the tensors that live."""

    def __init__(self) -> None:
        super().__init__()
        self.most = self._now = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func.overloadpacket.__name__ == "scaled_dot_product_attention":  # one kernel: its scores are never in memory
            query, _, value = args[:3]
            found = query.new_empty((*query.shape[:-1], value.shape[-1]))
        else:
            with self:
                found = func.decompose(*args, **(kwargs or {}))
            if found is not NotImplemented:
                return found
            found = func(*args, **(kwargs or {}))
        if not func.is_view:
            for tensor in tree_leaves(found):
                if isinstance(tensor, torch.Tensor):
                    self._add(tensor, args)
        return found

    def _add(self, tensor: torch.Tensor, args: tuple[Any, ...]) -> None:
        memory = tensor.untyped_storage()
        known = _which(tensor)
        if known in self._known or any(isinstance(given, torch.Tensor) and _which(given) == known for given in args):
            return
        self._known.add(known)
        self._now += memory.nbytes()
        self.most = max(self.most, self._now)
        weakref.finalize(memory, self._freed, known, memory.nbytes())

    def _freed(self, known: int, count: int) -> None:
        self._known.discard(known)
        self._now -= count


def _which(tensor: torch.Tensor) -> int:
    """The memory that a tensor is a view of: an operation that writes into what it was given returns the same."""
    return cast(Any, tensor.untyped_storage())._cdata
