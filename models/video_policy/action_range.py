"""From joint targets to the -1..1 that the action network learns: the least and greatest value of each joint.

Called by training; what it gives is a checkpoint's Statistics (models/normalize.py). Legend: N chunks, H targets, J joints.
"""

import numpy as np
from numpy.typing import NDArray

from models.normalize import Statistics
from models.video_policy.parts import ActionNet

_LEAST = 0.002
"""Least half range, rad or m: chosen, a gripper's 2 mm; a joint that hardly moves must not become all noise."""


def min_max(config: ActionNet, targets: NDArray[np.float32], observed: NDArray[np.float32]) -> Statistics:
    """Statistics with which the demonstrations' targets fill -1..1.

    Args:
        config: whether targets are counted from the observed joints.
        targets: (N, H, J) rad, gripper m.
        observed: (N, J) the joints when each chunk begins.

    Returns:
        Statistics that clip targets to the range of all targets and joints; one joint has the same range all along a chunk.
    """
    relative = config.frame == "relative"
    counted = targets - observed[:, None] if relative else targets
    least, most = counted.min((0, 1)), counted.max((0, 1))
    rows = np.ones((targets.shape[1], 1), np.float32)
    everything = np.concatenate([targets.reshape(-1, targets.shape[-1]), observed])
    return Statistics(
        mean=rows * (least + most) / 2,
        spread=rows * np.maximum((most - least) / 2, _LEAST),
        state_mean=observed.mean(0),
        state_spread=np.maximum(observed.std(0), _LEAST),
        low=everything.min(0),
        high=everything.max(0),
        squash=False,
        relative=relative,
    )
