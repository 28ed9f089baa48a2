"""The statistics of demonstrations that a checkpoint carries: mean, spread and range of targets and joints.

Called by runtime/training/stages.py; models/normalize.py uses them. Legend: T steps, H targets in a chunk, J joints.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.normalize import Statistics
from models.train.prepared import Prepared

Array = NDArray[np.float32]
_Joints = tuple[Array, Array]  # (T, J) observed, and the targets
EVERY = 3  # steps whose chunks are measured: 0.1 s apart; chosen, since neighbouring chunks share 63 of 64 targets
_LEAST_RAD, _LEAST_GRIP_M = 0.005, 0.002
"""Least spreads. Chosen: a third of a degree, and 2 mm; a joint that hardly moves must not become all noise."""
_GRIPPERS = (6, 13)  # places in the joint vector
_BEYOND = 0.1  # of the range seen: how far targets may go over it; chosen, to leave room for corrections


def of(shards: Sequence[Prepared], horizon: int, targets: Literal["relative", "physical"] = "relative") -> Statistics:
    """Statistics of targets and observed joints over all episodes, for what the head is to learn.

    Args:
        shards: pictures of each episode: q (T, J) and targets, as many or more.
        horizon: H.
        targets: as PolicyConfig.targets.

    Returns:
        Statistics whose ranges are those seen, a tenth wider.
    """
    both = [(shard["q"].numpy(), shard["targets"].numpy()) for shard in shards]
    if targets == "physical":
        return _physical(both, horizon)
    moved = np.concatenate([chunks(targets, horizon)[: len(q) : EVERY] - q[::EVERY, None] for q, targets in both])
    q = np.concatenate([q for q, _ in both])
    least, low, high = _ranges(both)
    return Statistics(
        mean=moved.mean(0),
        spread=np.maximum(moved.std(0), least),
        state_mean=q.mean(0),
        state_spread=np.maximum(q.std(0), least),
        low=low,
        high=high,
        squash=False,
    )


def _physical(both: Sequence[_Joints], horizon: int) -> Statistics:
    """Joints as they are, grippers as a share of the widest: what RDT-1B's weights expect (its Agilex data)."""
    _, low, high = _ranges(both)
    scale = np.ones(len(low), np.float32)
    scale[list(_GRIPPERS)] = np.concatenate([values for one in both for values in one]).max(0)[list(_GRIPPERS)]
    scale = np.maximum(scale, _LEAST_GRIP_M)
    zero = np.zeros_like(scale)
    every = np.ones((horizon, 1), np.float32)
    return Statistics(every * zero, every * scale, zero, scale, low, high, squash=False, relative=False)


def _ranges(both: Sequence[_Joints]) -> tuple[Array, Array, Array]:
    """The least spread (J,) that is taken, and the lower and upper ends (J,) of all joints and targets, a little wider."""
    everything = np.concatenate([values for one in both for values in one])
    least = np.full(everything.shape[1], _LEAST_RAD, np.float32)
    least[list(_GRIPPERS)] = _LEAST_GRIP_M
    low, high = everything.min(0), everything.max(0)
    margin = np.maximum(_BEYOND * (high - low), least)
    return least, low - margin, high + margin


def chunks(targets: NDArray[np.float32], horizon: int) -> NDArray[np.float32]:
    """The targets from each step on, (T, H, J), a view; after the end the last one stays, as RDT-1B was trained."""
    longer = np.concatenate([targets, np.repeat(targets[-1:], horizon - 1, axis=0)])
    return np.lib.stride_tricks.sliding_window_view(longer, horizon, axis=0).transpose(0, 2, 1)
