"""Measures what System 2's tokens are over the training data, by which a checkpoint scales them (models/token_scale.py).

Called by runtime/training/stages.py when a checkpoint is written. Legend: B windows, K tokens, D width.
"""

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch.utils.data import Dataset

from models.token_scale import TokenScale
from models.train.action import CloningLoss
from models.train.prepared import Tensors

_BATCHES = 32
"""That are read. Chosen: 512 windows of the usual batch, whose spreads are then known to 3 %, in some seconds."""


@contextmanager
def measured(network: CloningLoss, batches: Dataset[Tensors]) -> Generator[None]:
    """Within, both Q-formers scale their tokens by the data, read with the weights as they are now; then as before again.

    A training goes on as if nothing had been. Where tokens are not scaled nothing is done.

    Args:
        network: whose Q-formers are measured; on any device.
        batches: of which the first are read; always the same ones.
    """
    formers = _scaled(network)
    before = [{name: buffer.clone() for name, buffer in former.named_buffers()} for former in formers]
    if formers:
        _measure(network, batches)
    try:
        yield
    finally:
        for former, kept in zip(formers, before, strict=True):
            for name, buffer in former.named_buffers():
                buffer.copy_(kept[name])


def _scaled(network: CloningLoss) -> list[TokenScale]:
    return [part for part in network.formers.modules() if isinstance(part, TokenScale)]


@torch.no_grad()
def _measure(network: CloningLoss, batches: Dataset[Tensors]) -> None:
    slow = network.slow
    assert slow is not None, "Q-formers are a System 2's"
    both = {former: _Moments() for former in (slow.spatial_former, slow.motion_former)}
    for number in range(_BATCHES):
        batch = {name: tensor.to(slow.spatial_former.queries.device) for name, tensor in batches[number].items()}
        features = slow.filtered(*network.features(slow, batch))
        for (former, moments), branch in zip(both.items(), features, strict=True):
            moments.add(former.read(branch))
    for former, moments in both.items():
        if former.scale is not None:
            former.scale.take(*moments.found())


class _Moments:
    """Sums of tokens (K, D) over windows, in float64: their spread may be a thousandth of their size."""

    def __init__(self) -> None:
        self._count, self._sum, self._squares = (
            0,
            torch.zeros((), dtype=torch.float64),
            torch.zeros((), dtype=torch.float64),
        )

    def add(self, tokens: torch.Tensor) -> None:
        """Take in tokens (B, K, D)."""
        exact = tokens.double()
        self._count += len(exact)
        self._sum, self._squares = self._sum + exact.sum(0), self._squares + exact.square().sum(0)

    def found(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance (K, D)."""
        mean = self._sum / self._count
        return mean, (self._squares / self._count - mean.square()).clamp(min=0)
