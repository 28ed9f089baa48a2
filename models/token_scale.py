"""Brings what tells scenes apart in System 2's tokens to their size: less their mean over the data, divided by their spread.

Part of models/qformer.py where `QFormer.scaled` says so. Between scenes tokens differ by 0.4 to 13 % of their size. Without it
what is alike in all of them drowns that, and bfloat16, in which they travel, rounds by 0.4 %.
Legend: B windows, K tokens, D width.
"""

import torch
from torch import nn

_LEAST = 1e-3  # spread that counts as one; chosen: a fifth of the smallest seen, of tokens whose size is 1
_LARGEST = 8.0  # of what comes out; chosen: no scene of the data is so far off, and one unlike them all is not shouted
_PACE = 0.1
"""Of a batch in the running statistics; chosen: they follow weights that change, and 16 windows vary by chance."""
_ENOUGH = 4  # windows whose spread means something; chosen
_TRUSTED = 2.0  # factor, and spreads, by which a batch may differ from the running statistics; chosen


class TokenScale(nn.Module):
    """(token - mean) / spread for each token and channel, with the statistics of the training data.

    In training these follow the batches, as in batch renormalisation (Ioffe 2017): what comes out is as in use. Gradients are
    those of a batch's own statistics, so that nothing is learnt that these would take away. A checkpoint gets the statistics of
    the data, measured with the weights that it holds (models/train/token_statistics.py).
    """

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.mean: torch.Tensor
        self.spread: torch.Tensor
        self.batches: torch.Tensor  # how many the statistics have followed
        self.register_buffer("mean", torch.zeros(tokens, width))
        self.register_buffer("spread", torch.ones(tokens, width))
        self.register_buffer("batches", torch.zeros(()))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Scale tokens; in training also follow them.

        Args:
            tokens: (B, K, D), any float dtype.

        Returns:
            (B, K, D) within -8..8, in the same dtype.
        """
        x = tokens.float()
        mean, spread = self.mean, self.spread
        if self.training:
            self._follow(x.detach())
            mean, spread = (
                mean.clone(),
                spread.clone(),
            )  # the next batch changes them, perhaps before gradients are computed
        several = self.training and len(x) > 1
        scaled = _renormalised(x, mean, spread) if several else (x - mean) / spread
        return scaled.clamp(-_LARGEST, _LARGEST).to(tokens.dtype)

    @torch.no_grad()
    def take(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Use these statistics: mean and variance (K, D) of the data's tokens; a further training begins with them."""
        self._set(mean, variance)
        self.batches.fill_(1 / _PACE)

    def wrong(self) -> str:
        """What of the statistics cannot be: half a line that begins with the buffer's name; empty where nothing is."""
        least, batches = float(self.spread.min()), float(self.batches)
        if not least >= _LEAST / 2:  # half: for what bfloat16 rounds
            return f"spread: must be at least {_LEAST} everywhere, got {least:g}"
        return "" if batches >= 0 else f"batches: must be at least 0, got {batches:g}"

    def _set(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        self.mean.copy_(mean)
        self.spread.copy_((variance + _LEAST**2).sqrt())

    @torch.no_grad()
    def _follow(self, x: torch.Tensor) -> None:
        """Let the running statistics take in a batch; the first ones count alike."""
        pace = (1 / (self.batches + 1)).clamp(min=_PACE)
        moved = x.mean(0) - self.mean
        before = self.spread.square() - _LEAST**2
        variance = (1 - pace) * (before.clamp(min=0) + pace * moved.square()) + pace * x.var(0, correction=0)
        self._set(self.mean + pace * moved, variance)
        self.batches += 1


def _renormalised(x: torch.Tensor, mean: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    """x (B, K, D) by running statistics (K, D), unless its own are too far from them; gradients as by its own."""
    middle = x.mean(0)
    deviation = (x.var(0, correction=0) + _LEAST**2).sqrt() if len(x) >= _ENOUGH else spread
    factor = (deviation.detach() / spread).clamp(1 / _TRUSTED, _TRUSTED)
    offset = ((middle.detach() - mean) / spread).clamp(-_TRUSTED, _TRUSTED)
    return (x - middle) / deviation * factor + offset
