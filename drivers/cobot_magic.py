"""The Cobot Magic's layout: where its arms stand, how high its table is, and the poses it begins and rests in.

Used by runtime/config (defaults of the safety settings), runtime/arms, the drivers and the simulator. World frame: x to the
robot's right, y forwards, z up from the floor, origin under the table's centre. Metres, radians.
"""

import numpy as np
from numpy.typing import NDArray

from drivers.kinematics import base_pose

SIDES = ("left", "right")
CAMERAS = ("head", "left_wrist", "right_wrist")
WITHOUT_GRIPPERS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12]
"""The twelve joints in the joint vector of both arms."""
TABLE_TOP_M = 0.74  # RoboTwin v1's table, so that its rules hold as they are
BASE_X_M = {"left": -0.25, "right": 0.25}
"""Chosen with BASE_Y_M by where the tasks' bottles lie: hands pitched 15 degrees reach them all from y -0.40 to -0.45, not from
-0.55."""
BASE_Y_M = -0.42  # see BASE_X_M
BASE_YAW_RAD = float(np.pi / 2)  # the arms reach towards +y
OPEN_GRIP_M = 0.08  # chosen between the strokes that the SDK (0.07) and the paper (0.085, appendix A.2) give
# What one arm's joints may do: piper_sdk's limits (-150 to 150, 0 to 180, -170 to 0, +-100, +-70 and +-120 degrees), nowhere
# wider than the paper's table 2; rad, gripper m.
LOW = (-2.618, 0.0, -2.967, -1.745, -1.22, -2.09, 0.0)
HIGH = (2.618, 3.14, 0.0, 1.745, 1.22, 2.09, OPEN_GRIP_M)  # see LOW
# Ready, where work begins: both hands in front of the robot, turned inwards, 0.3 m over the table.
READY_Q_RAD = {"left": (-0.3, 1.05, -1.35, 0.0, 1.15, 0.0), "right": (0.3, 1.05, -1.35, 0.0, 1.15, 0.0)}

# At rest, where their power can be taken: folded onto the stops of joints 2 and 3, the maker's zero pose but for a degree.
REST_Q_RAD = (0.0, 0.02, -0.02, 0.0, 0.0, 0.0)


def joint_name(index: int) -> str:
    """How a message names a joint of the joint vector by its index: `left j3`, `right gripper`."""
    side, joint = SIDES[index // 7], index % 7
    return f"{side} gripper" if joint == 6 else f"{side} j{joint + 1}"


def ready_pose() -> NDArray[np.float64]:
    """Where work begins, (14,) in the order of the joint vector: rad, gripper m; both grippers open."""
    return np.concatenate([(*READY_Q_RAD[side], OPEN_GRIP_M) for side in SIDES])


def bases() -> NDArray[np.float64]:
    """T_world_base (2, 4, 4) of the left and the right arm where the simulated robot has them; m."""
    return np.stack([base_pose(BASE_X_M[side], BASE_Y_M, TABLE_TOP_M, BASE_YAW_RAD) for side in SIDES])
