"""Less memory for more time: what is within a network's blocks is computed again in the backward pass instead of being kept.

Called by runtime/training/stages.py for `--recompute`.
"""

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint


def recompute(network: nn.Module) -> None:
    """Change all blocks of a network, in place: the members of its ModuleLists, wherever they are."""
    for part in network.children():
        if not isinstance(part, nn.ModuleList):
            recompute(part)
            continue
        for block in part:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
