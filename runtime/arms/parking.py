"""The ways to the ready and the rest pose: jerk-limited, all joints arriving together (ruckig), slow. Deterministic.

Planned anew at every tick from the wanted motion of the last one, which is all that has to be remembered.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from ruckig import InputParameter, OutputParameter, Ruckig

from runtime.arms.trajectory import Motion
from runtime.messaging import messages

Pose = NDArray[np.float64]  # (14,) rad, gripper m
_ARM = 6
VELOCITY = np.tile([0.5] * _ARM + [0.05], 2)  # rad/s; gripper m/s
ACCELERATION = np.tile([1.0] * _ARM + [0.2], 2)
JERK = np.tile([5.0] * _ARM + [1.0], 2)
_THERE_RAD = 1e-4
_STILL_RAD_S = 1e-3
_NEAR_RAD = 0.05
_LOST_RAD = 0.1
ARMS = np.tile([True] * _ARM + [False], 2)  # the grippers may stay as they are


def toward(pose: Pose, wanted: Motion | None, commanded: Motion, dt_s: float) -> Motion:
    """The next wanted motion (J,) on the way to a pose; `wanted`: the last one, None at its beginning.

    It begins anew from the command where the safety layer did not let it follow.
    """
    planner, given, made = _planner(dt_s)
    lost = wanted is None or np.abs(wanted.q - commanded.q).max() > _LOST_RAD
    now = commanded if wanted is None or lost else wanted
    given.target_position = pose.tolist()
    given.current_position, given.current_velocity = now.q.tolist(), now.dq.tolist()
    given.current_acceleration = now.ddq.tolist()
    planner.update(given, made)
    return Motion(np.array(made.new_position), np.array(made.new_velocity), np.array(made.new_acceleration))


def stands(now: Motion) -> bool:
    """Whether a command stands still."""
    return bool(np.abs(now.dq).max() < _STILL_RAD_S)


def arrived(pose: Pose, now: Motion) -> bool:
    """Whether a command stands still in a pose."""
    return bool(np.abs(now.q - pose).max() < _THERE_RAD) and stands(now)


def near(pose: Pose, q: NDArray[np.float64]) -> bool:
    """Whether both arms (J,) are in a pose, as far as an arm that follows its command is."""
    return bool(np.abs(q - pose)[ARMS].max() < _NEAR_RAD)


@lru_cache(maxsize=4)
def _planner(dt_s: float) -> tuple[Ruckig, InputParameter, OutputParameter]:
    given = InputParameter(messages.JOINTS)
    given.target_velocity = given.target_acceleration = [0.0] * messages.JOINTS
    given.max_velocity, given.max_acceleration, given.max_jerk = (
        VELOCITY.tolist(),
        ACCELERATION.tolist(),
        JERK.tolist(),
    )
    return Ruckig(messages.JOINTS, dt_s), given, OutputParameter(messages.JOINTS)
