"""Getting networks onto a device in their number type without ever holding their weights twice.

Called by models/checkpoint.py, and by whoever chooses a device: runtime/policy, runtime/training, runtime/bench.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import nn

from models.families import Config

Network = TypeVar("Network", bound=nn.Module)


class Published(Protocol):
    """A network that can take published weights: a video model, or an image encoder."""

    def load(self, folder: Path, dtype: torch.dtype) -> None:
        """Take the weights in `folder`, brought to `dtype`. Raises ModelError when they do not fit."""
        ...


Loadable = TypeVar("Loadable", bound=Published)


def hollow() -> AbstractContextManager[None]:
    """A context in which new networks get no weights (meta tensors), since they are about to be loaded; buffers are there."""
    from accelerate import init_empty_weights  # takes a second: only where weights are loaded

    return cast(AbstractContextManager[None], init_empty_weights(include_buffers=False))


def usual_type(config: Config, device: torch.device) -> torch.dtype:
    """What a policy's networks compute in: bfloat16 on a GPU where the video model is published in it, else float32.

    `small`'s weights are its own: in bfloat16 its tokens are off by a tenth of what tells one window from another.
    """
    return torch.bfloat16 if config.has_published and device.type == "cuda" else torch.float32


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor on a device. From the CPU to a GPU it goes by pinned memory: nothing waits for the copy."""
    up = device.type == "cuda" and tensor.device.type == "cpu"
    return tensor.pin_memory().to(device, non_blocking=True) if up else tensor.to(device)


def place(network: Network, device: torch.device, dtype: torch.dtype) -> Network:
    """Bring a network to a device and its weights to a dtype, one by one; those that their library wants stay float32."""
    types = number_types(network, dtype)
    for name, weight in network.named_parameters():
        weight.data = weight.data.to(device, types[name])
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(device))
    return network


def number_types(network: nn.Module, dtype: torch.dtype) -> dict[str, torch.dtype]:
    """What `place` brings each weight to, by its name: `dtype`, or float32 where its library wants that."""
    kept = {id(weight) for module in network.modules() for weight in _kept_in_float32(module)}

    def wanted(weight: nn.Parameter) -> torch.dtype:
        if not weight.is_floating_point():
            return weight.dtype
        return torch.float32 if id(weight) in kept else dtype

    return {name: wanted(weight) for name, weight in network.named_parameters()}


def _kept_in_float32(module: nn.Module) -> list[nn.Parameter]:
    """The weights that a model's library wants in float32; diffusers and transformers name their modules in an attribute."""
    names = set(cast(Any, getattr(module, "_keep_in_fp32_modules", None) or ()))
    return [weight for name, weight in module.named_parameters() if names & set(name.split("."))] if names else []
