"""The statistics of demonstrations that a checkpoint carries: what targets and joints are like."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.normalize import Statistics
from models.train.prepared import Prepared

_EVERY = 3  # steps: neighbours tell the same
_LEAST_RAD, _LEAST_GRIP_M = 0.005, 0.002  # spreads: a joint that hardly moves must not become all noise
_GRIPPERS = (6, 13)
_BEYOND = 0.1  # of the range seen: how far targets may go over it


def of(shards: Sequence[Prepared], horizon: int) -> Statistics:
    """Statistics of targets relative to the observed joints, over all episodes."""
    both = [(shard["q"].numpy(), shard["targets"].numpy()) for shard in shards]
    moved = np.concatenate([chunks(targets, horizon)[::_EVERY] - q[::_EVERY, None] for q, targets in both])
    q = np.concatenate([q for q, _ in both])
    everything = np.concatenate([q, *(targets for _, targets in both)])
    least = np.full(q.shape[1], _LEAST_RAD, np.float32)
    least[list(_GRIPPERS)] = _LEAST_GRIP_M
    low, high = everything.min(0), everything.max(0)
    margin = np.maximum(_BEYOND * (high - low), least)
    return Statistics(
        mean=moved.mean(0),
        spread=np.maximum(moved.std(0), least),
        state_mean=q.mean(0),
        state_spread=np.maximum(q.std(0), least),
        low=low - margin,
        high=high + margin,
        squash=False,
    )


def chunks(targets: NDArray[np.float32], horizon: int) -> NDArray[np.float32]:
    """(T, H, J): the targets from each step on; after the end the last one stays (as RDT-1B was trained)."""
    longer = np.concatenate([targets, np.repeat(targets[-1:], horizon - 1, axis=0)])
    return np.lib.stride_tricks.sliding_window_view(longer, horizon, axis=0).transpose(0, 2, 1)


def window(targets: torch.Tensor, step: int, horizon: int) -> torch.Tensor:
    """(H, J): one row of `chunks`."""
    found = targets[step : step + horizon]
    return torch.cat([found, targets[-1:].expand(horizon - len(found), -1)])
