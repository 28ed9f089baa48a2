"""Networks with the weights of a checkpoint's folder, each tensor checked; without a folder random ones.

Called by the checkpoints of both families (checkpoint.py, video_policy/checkpoint.py).
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from models.errors import ModelError
from models.placement import hollow, place
from models.tensors import StoredTensors
from models.weight_check import check_type

Network = TypeVar("Network", bound=nn.Module)


class StoredNetworks:
    """A folder's networks by the prefixes of their tensors' names; `seed` draws those of a policy that nobody trained."""

    def __init__(self, folder: Path | None, seed: int) -> None:
        self.tensors = None if folder is None else StoredTensors(folder)
        self._seed = seed

    def draw(self, part: int) -> None:
        """Begin a part's random numbers: 10 times the seed plus its own number, so that no two parts share them."""
        torch.manual_seed(self._seed * 10 + part)

    def holds(self, prefix: str) -> bool:
        """Whether the folder has tensors of a network; without a folder it has none."""
        return self.tensors is not None and bool(self.tensors.names(prefix))

    def count(self, prefix: str) -> int:
        """How many numbers are stored under a prefix; reads no weights. Of a policy that nobody trained: 0."""
        return 0 if self.tensors is None else self.tensors.count(prefix)

    def ready(
        self,
        prefix: str,
        make: Callable[[], Network],
        loaded: nn.Module | None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> Network:
        """A network for inference, in its place.

        Args:
            prefix: before its tensors' names.
            make: makes it, with random weights.
            loaded: a part of it whose weights are there already, and stay.
            device: where to.
            dtype: of its weights.

        Returns:
            The network with the folder's weights, in evaluation mode, without gradients.

        Raises:
            ModelError: a tensor is missing, misshapen or broken.
        """
        if self.tensors is None:
            network = make()
        else:
            with hollow():
                network = make()
            theirs = {id(weight) for weight in loaded.state_dict(keep_vars=True).values()} if loaded else set[int]()
            wanted = {n: w for n, w in network.state_dict(keep_vars=True).items() if id(w) not in theirs}
            network.load_state_dict(self._read(prefix, wanted, device), strict=False, assign=True)
        return place(network.eval().requires_grad_(False), device, dtype)

    def _read(self, prefix: str, wanted: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
        """The folder's tensors, each checked. Raises ModelError with the first that is missing or misshapen."""
        assert self.tensors is not None
        found = self.tensors.read(prefix, device)
        for name, tensor in wanted.items():
            path = self.tensors.where(prefix + name)
            if name not in found:
                raise ModelError(f"{path}: {prefix}{name} is missing; copy the checkpoint again")
            if found[name].shape != tensor.shape:
                shapes = f"{tuple(found[name].shape)}, expected {tuple(tensor.shape)}"
                raise ModelError(f"{path}: {prefix}{name} is {shapes}; give another checkpoint")
            check_type(path, prefix + name, found[name], tensor)
        return {name: found[name] for name in wanted}
