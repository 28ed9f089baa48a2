"""The ways to the ready and the rest pose: jerk-limited, all joints arriving together (ruckig), slow. Deterministic.
Called by motion.py at every tick on such a way; others ask it whether the arms stand or are at a pose.

Planned again at every tick from the wanted motion of the last one, which is all that has to be remembered.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from ruckig import InputParameter, OutputParameter, Ruckig

from runtime.arms.trajectory import Motion
from runtime.messaging import messages

Pose = NDArray[np.float64]  # (14,) rad, gripper m
_ARM = 6  # joints of an arm without its gripper
VELOCITY = np.tile([0.5] * _ARM + [0.05], 2)  # rad/s; gripper m/s
"""Chosen, as the two below: a sixth of the speed, a fifth of the acceleration and a twentieth of the jerk that the default
limits allow, so that a person can step back. Measured: from rest to ready takes 3.3 s."""
ACCELERATION = np.tile([1.0] * _ARM + [0.2], 2)  # rad/s2; gripper m/s2; chosen as VELOCITY
JERK = np.tile([5.0] * _ARM + [1.0], 2)  # rad/s3; gripper m/s3; chosen as VELOCITY
_THERE_RAD = 1e-4
"""Chosen: six steps of the bus, which counts 0.001 degrees (1.7e-5 rad); ruckig ends exactly in the pose."""
_STILL_RAD_S = 1e-3  # derived: at 200 Hz a slower command takes more than three ticks for one step of the bus
_NEAR_RAD = 0.05
"""Chosen: 3 degrees, more than an arm at rest is off its command, less than any pose differs from another."""
_LOST_RAD = 0.1
"""Chosen: the way of 0.2 s at this speed; a tracked command is never so far behind unless a limit stops it."""
ARMS = np.tile([True] * _ARM + [False], 2)  # the grippers may stay as they are


def toward(pose: Pose, wanted: Motion | None, commanded: Motion, dt_s: float) -> Motion:
    """The next wanted motion on the way to a pose. Where the safety layer held the command back, it begins again from there.

    Args:
        pose: (14,) rad, grippers m.
        wanted: The wanted motion of the last tick, (14,) each; None at the beginning of the way.
        commanded: The command of the last tick.
        dt_s: One tick.

    Returns:
        q, dq, ddq, (14,) each, before the safety layer.
    """
    planner, given, made = _planner(dt_s)
    lost = wanted is None or np.abs(wanted.q - commanded.q).max() > _LOST_RAD
    now = commanded if wanted is None or lost else wanted
    given.target_position = pose.tolist()
    given.current_position, given.current_velocity = now.q.tolist(), now.dq.tolist()
    given.current_acceleration = now.ddq.tolist()
    planner.reset()  # what it planned before is no state of ours: a replay that begins here would lack it
    planner.update(given, made)
    return Motion(np.array(made.new_position), np.array(made.new_velocity), np.array(made.new_acceleration))


def stands(now: Motion) -> bool:
    """Whether a command stands still, all joints below 0.001 rad/s (grippers m/s)."""
    return bool(np.abs(now.dq).max() < _STILL_RAD_S)


def arrived(pose: Pose, now: Motion) -> bool:
    """Whether a command stands still in a pose (14,), all joints within 0.0001 rad (grippers m)."""
    return bool(np.abs(now.q - pose).max() < _THERE_RAD) and stands(now)


def near(pose: Pose, q: NDArray[np.float64]) -> bool:
    """Whether both arms are at a pose, as closely as an arm follows its command. Grippers are not asked.

    Args:
        pose: (14,) rad, grippers m.
        q: (14,) measured or commanded.

    Returns:
        True if no joint is farther than 0.05 rad.
    """
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
