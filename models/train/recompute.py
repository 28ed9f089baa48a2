"""Less memory for more time: what is within a network's blocks is computed again in the backward pass instead of being kept."""

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint


def recompute(network: nn.Module) -> None:
    """For all blocks of a network: the members of its lists of modules."""
    for part in network.children():
        if not isinstance(part, nn.ModuleList):
            recompute(part)
            continue
        for block in part:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
