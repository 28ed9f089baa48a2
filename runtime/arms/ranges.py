"""Whether recorded joints lie within the arms' ranges. Called before a replay on the robot, before training and by
`data check`.

Legend: T steps, J = 14 joints.
"""

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import WITHOUT_GRIPPERS, joint_name
from models.data.episode import DEMONSTRATION_HZ
from runtime.config.safety_settings import Safety


def outside(q: NDArray[np.float64], safety: Safety) -> str:
    """Where joints leave their ranges by more than a chunk may, in words; empty: nowhere.

    Args:
        q: (T, J) rad, grippers m, 30 steps a second.
        safety: `low`, `high` and `outside_rad` are read.

    Returns:
        The farthest: which joint, how far, when.
    """
    arms = q[:, WITHOUT_GRIPPERS]
    low, high = (np.tile(np.array(ends[:6]), 2) for ends in (safety.low, safety.high))
    beyond = np.maximum(low - arms, arms - high)
    step, joint = np.unravel_index(int(beyond.argmax()), beyond.shape)
    if beyond[step, joint] <= safety.outside_rad:
        return ""
    return (
        f"{joint_name(WITHOUT_GRIPPERS[joint])} is at {arms[step, joint]:.2f} rad after {step / DEMONSTRATION_HZ:.1f} s, "
        f"{beyond[step, joint]:.2f} rad outside its range (limit {safety.outside_rad} rad)"
    )
