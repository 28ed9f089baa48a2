"""The Piper's forward kinematics against the manufacturer's SDK and against the simulated arms built from the same table.
Called by pytest; poses are 4 x 4, metres and radians."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from piper_sdk import C_PiperForwardKinematics

from drivers.cobot_magic import BASE_X_M, BASE_Y_M, SIDES, TABLE_TOP_M, bases, ready_pose
from drivers.kinematics import FINGER_CENTRE_M, base_pose, link_poses
from drivers.sim.engine import mujoco
from drivers.sim.physics import Physics
from drivers.sim.tasks import make_task

LOW_RAD = np.deg2rad([-150, 0, -170, -100, -70, -120])
HIGH_RAD = np.deg2rad([150, 180, 0, 100, 70, 120])


def random_poses(count: int) -> NDArray[np.float64]:
    """Joint angles (count, 6) over the whole working range."""
    return np.random.default_rng(20).uniform(LOW_RAD, HIGH_RAD, (count, 6))


def rotation(roll_deg: float, pitch_deg: float, yaw_deg: float) -> NDArray[np.float64]:
    """R = Rz(yaw) Ry(pitch) Rx(roll), as the SDK's Euler angles are meant."""
    (cr, cp, cy), (sr, sp, sy) = (f(np.deg2rad([roll_deg, pitch_deg, yaw_deg])) for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def test_link_positions_equal_the_sdk() -> None:
    sdk: Any = C_PiperForwardKinematics(0x01)
    for q_rad in random_poses(200):
        expected_mm = np.array(sdk.CalFK(q_rad.tolist()))[:, :3]
        np.testing.assert_allclose(link_poses(q_rad)[:, :3, 3] * 1000, expected_mm, rtol=0, atol=1e-9)


def test_link_rotations_equal_the_sdk() -> None:
    sdk: Any = C_PiperForwardKinematics(0x01)
    for q_rad in random_poses(200):
        for ours, theirs in zip(link_poses(q_rad), sdk.CalFK(q_rad.tolist()), strict=True):
            if abs(ours[2, 0]) < 0.999:  # the SDK's Euler angles are rounded near their singularity
                np.testing.assert_allclose(ours[:3, :3], rotation(*theirs[3:]), rtol=0, atol=1e-9)


def test_flange_at_the_zero_pose_is_where_the_manual_says() -> None:
    flange = link_poses(np.zeros(6))[5]
    np.testing.assert_allclose(flange[:3, 3] * 1000, (56.128, 0.0, 213.266), atol=1e-3)
    assert np.rad2deg(np.arcsin(-flange[2, 0])) == pytest.approx(85.0)


def test_poses_are_rigid() -> None:
    for pose in link_poses(random_poses(1)[0]):
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
        assert pose[3].tolist() == [0, 0, 0, 1]


def test_first_joint_turns_the_arm_about_the_bases_axis() -> None:
    q_rad, turn_rad = random_poses(1)[0], 0.3
    turned = q_rad + np.array([turn_rad, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(link_poses(turned), base_pose(0, 0, 0, turn_rad) @ link_poses(q_rad), atol=1e-12)


def test_bases_stand_on_the_table_and_look_forwards() -> None:
    for side, pose in zip(SIDES, bases(), strict=True):
        np.testing.assert_allclose(pose[:3, 3], (BASE_X_M[side], BASE_Y_M, TABLE_TOP_M))
        np.testing.assert_allclose(pose[:3, 0], (0, 1, 0), atol=1e-12)


def test_rest_pose_holds_the_hands_over_the_table_left_and_right() -> None:
    left, right = (
        (base @ link_poses(q[:6])[5] @ [0, 0, FINGER_CENTRE_M, 1])[:3]
        for base, q in zip(bases(), ready_pose().reshape(2, 7), strict=True)
    )
    np.testing.assert_allclose(left * [-1, 1, 1], right, atol=1e-12)
    assert left[0] < 0
    assert abs(left[1]) < 0.35
    assert 0.15 < left[2] - TABLE_TOP_M < 0.4


@pytest.fixture(scope="module")
def physics() -> Physics:
    """The simulated robot; only its kinematics is used here."""
    return Physics(make_task("block_handover"))


def set_pose(physics: Physics, poses_rad: NDArray[np.float64]) -> None:
    """Put both arms to q (2, 6) and compute the bodies' poses."""
    physics.reset(0)
    for side, q_rad in zip(SIDES, poses_rad, strict=True):
        for index, value in enumerate(q_rad):
            physics.data.joint(f"{side}/joint{index + 1}").qpos[0] = value
    mujoco.mj_forward(physics.model, physics.data)


def body_pose(physics: Physics, name: str) -> NDArray[np.float64]:
    """T_world_body (4, 4)."""
    pose, body = np.eye(4), physics.data.body(name)
    pose[:3, :3], pose[:3, 3] = body.xmat.reshape(3, 3), body.xpos
    return pose


def test_simulated_links_are_where_the_kinematics_says(physics: Physics) -> None:
    for poses_rad in random_poses(40).reshape(20, 2, 6):
        set_pose(physics, poses_rad)
        for side, base, q_rad in zip(SIDES, bases(), poses_rad, strict=True):
            simulated = np.stack([body_pose(physics, f"{side}/link{index + 1}") for index in range(6)])
            np.testing.assert_allclose(simulated, base @ link_poses(q_rad), rtol=0, atol=1e-9)


def test_simulated_fingers_are_beyond_the_flange(physics: Physics) -> None:
    poses_rad = random_poses(2)
    set_pose(physics, poses_rad)
    for side, base, q_rad in zip(SIDES, bases(), poses_rad, strict=True):
        pads = [physics.data.geom(f"{side}/{name}").xpos for name in ("finger_a", "finger_b")]
        between = base @ link_poses(q_rad)[5] @ [0, 0, FINGER_CENTRE_M, 1]
        np.testing.assert_allclose(np.mean(pads, axis=0), between[:3], rtol=0, atol=1e-9)
