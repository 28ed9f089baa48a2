"""The simulated robot's physics: reproducible, holds still, goes where it is told; and the task's rule of success.
Called by pytest; time advances only by `advance`."""

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.cobot_magic import TABLE_TOP_M, ready_pose
from drivers.errors import DriverError
from drivers.sim.engine import mujoco
from drivers.sim.experts.reach import joints_for, over
from drivers.sim.physics import Physics
from drivers.sim.scene import TIMESTEP_S
from drivers.sim.tasks import TASKS, make_task
from drivers.sim.tasks.block_handover import BLOCK_HALF_M, HELD_BELOW_M, MAT_THICKNESS_M, TARGET_XY_M

STANDING_Z_M = 0.85  # by the rule
RIGHT = 1


def steps(seconds: float) -> int:
    """Time steps of the physics."""
    return round(seconds / TIMESTEP_S)


@pytest.fixture
def physics() -> Physics:
    """The block_handover scene at seed 0."""
    made = Physics(make_task("block_handover"))
    made.reset(0)
    return made


def rest() -> NDArray[np.float64]:
    """The rest pose by side (2, 7)."""
    return ready_pose().reshape(2, 7)


def block(physics: Physics) -> NDArray[np.float64]:
    """The block's place and orientation (7,)."""
    return physics.data.joint("block").qpos.copy()


def put_block(physics: Physics, x_m: float, y_m: float, z_m: float, tilt_rad: float = 0.0) -> None:
    """Set the block down by hand, tilted about x."""
    physics.data.joint("block").qpos[:] = [x_m, y_m, z_m, np.cos(tilt_rad / 2), np.sin(tilt_rad / 2), 0, 0]
    physics.data.joint("block").qvel[:] = 0
    mujoco.mj_forward(physics.model, physics.data)


def grip_right(physics: Physics, grip_m: float) -> None:
    """Close or open the right gripper where it is, and wait."""
    physics.command(RIGHT, np.append(physics.arms()[RIGHT, 0, :6], grip_m))
    physics.advance(steps(1.0))


def draw_back(physics: Physics, far_m: float) -> None:
    """The right hand so far behind where it lets the block go on the mat, open."""
    let_go = over(RIGHT, np.array([*TARGET_XY_M, STANDING_Z_M + HELD_BELOW_M]), 0.5)
    q, left = joints_for(let_go.back(far_m), rest()[RIGHT, :6])
    assert left < 2e-3
    physics.command(RIGHT, np.append(q, 0.08))
    physics.advance(steps(2.0))


def test_reset_puts_the_arms_to_rest_at_time_zero(physics: Physics) -> None:
    physics.advance(100)
    physics.reset(0)
    np.testing.assert_allclose(physics.arms()[:, 0], rest(), atol=1e-12)
    assert not physics.arms()[:, 1].any()
    assert physics.data.time == 0


def test_reset_is_a_function_of_the_seed(physics: Physics) -> None:
    fresh = Physics(make_task("block_handover"))
    fresh.reset(7)
    physics.command(0, rest()[0] + 0.1)
    physics.advance(300)
    physics.reset(7)
    assert np.array_equal(physics.qpos(), fresh.qpos())
    physics.reset(8)
    assert not np.array_equal(physics.qpos(), fresh.qpos())


def test_a_new_scene_leaves_the_arms_where_they_are(physics: Physics) -> None:
    physics.command(0, rest()[0] + 0.1)
    physics.switch_motors(1, "release")
    physics.advance(300)
    before, reported, scene_before = physics.arms()[:, 0], physics.commands(), physics.qpos()
    physics.rearrange(8)
    np.testing.assert_array_equal(physics.arms()[:, 0], before)
    np.testing.assert_array_equal(physics.commands(), reported)
    assert physics.powered == [True, False]
    assert not np.array_equal(physics.qpos(), scene_before), "the block is elsewhere"


def test_motion_is_reproducible_bit_for_bit(physics: Physics) -> None:
    traces: list[NDArray[np.float64]] = []
    for _ in range(2):
        physics.reset(3)
        physics.command(0, rest()[0] + np.array([0.3, 0.1, 0, 0, 0, 0, -0.04]))
        physics.advance(400)
        traces.append(np.concatenate([physics.qpos(), physics.arms().ravel()]))
    assert np.array_equal(traces[0], traces[1])


def test_time_advances_by_the_steps_asked_for(physics: Physics) -> None:
    physics.advance(3)
    physics.advance(4)
    assert physics.data.time == pytest.approx(7 * TIMESTEP_S)


def test_gravity_does_not_move_held_arms(physics: Physics) -> None:
    physics.advance(steps(5.0))
    np.testing.assert_allclose(physics.arms()[:, 0], rest(), atol=1e-4)


def test_gravity_does_not_move_stretched_arms(physics: Physics) -> None:
    stretched = np.array([0.0, 1.6, -1.0, 0.0, 0.2, 0.0, 0.08])
    for side in range(2):
        physics.command(side, stretched)
    physics.advance(steps(4.0))
    before = physics.arms()[:, 0]
    physics.advance(steps(2.0))
    np.testing.assert_allclose(physics.arms()[:, 0], before, atol=1e-4)
    np.testing.assert_allclose(before, [stretched, stretched], atol=5e-3)


@pytest.mark.parametrize("seed", range(4))
def test_position_control_reaches_its_target(physics: Physics, seed: int) -> None:
    offsets = np.random.default_rng(seed).uniform(-0.25, 0.25, (2, 7))
    targets = rest() + offsets
    targets[:, 6] = np.abs(offsets[:, 6]) * 0.3
    for side in range(2):
        physics.command(side, targets[side])
    physics.advance(steps(3.0))
    np.testing.assert_allclose(physics.arms()[:, 0], targets, atol=5e-3)
    assert np.abs(physics.arms()[:, 1]).max() < 1e-2


def test_effort_is_felt_while_an_arm_accelerates(physics: Physics) -> None:
    physics.command(0, rest()[0] + np.array([0.3, 0, 0, 0, 0, 0, 0]))
    physics.advance(2)
    effort = physics.arms()[:, 2]
    assert effort[0, 0] > 1.0
    assert abs(effort[1, 0]) < 0.1


def test_gripper_holds_a_block_against_gravity(physics: Physics) -> None:
    pads = [physics.data.geom(f"right/{name}").xpos for name in ("finger_a", "finger_b")]
    centre, across = np.mean(pads, axis=0), pads[1] - pads[0]
    yaw_rad = float(np.arctan2(across[1], across[0]))
    pose = [*centre, np.cos(yaw_rad / 2), 0, 0, np.sin(yaw_rad / 2)]
    physics.command(RIGHT, np.append(rest()[RIGHT, :6], 0.0))
    for _ in range(steps(0.5)):  # held in the air until the fingers are there
        physics.data.joint("block").qpos[:] = pose
        physics.data.joint("block").qvel[:] = 0
        physics.advance(1)
    physics.advance(steps(2.0))
    assert abs(block(physics)[2] - centre[2]) < 0.02
    assert physics.arms()[RIGHT, 0, 6] > 0.04  # the block keeps the fingers apart


def test_block_falls_and_stays_on_the_table(physics: Physics) -> None:
    put_block(physics, -0.15, 0.1, TABLE_TOP_M + 0.2)
    physics.advance(steps(2.0))
    assert TABLE_TOP_M < block(physics)[2] < TABLE_TOP_M + BLOCK_HALF_M[2] + 1e-3


def test_block_starts_within_the_listed_ranges_and_stands() -> None:
    physics = Physics(make_task("block_handover"))
    starts: list[NDArray[np.float64]] = []
    for seed in range(50):
        physics.reset(seed)
        starts.append(block(physics))
    x, y, z, w = np.stack(starts)[:, :4].T
    assert (x >= -0.25).all()
    assert (x <= -0.05).all()
    assert (y >= 0).all()
    assert (y <= 0.25).all()
    np.testing.assert_allclose(z, TABLE_TOP_M + BLOCK_HALF_M[2])
    assert (2 * np.arccos(w) <= 0.3 + 1e-9).all()
    assert np.ptp(x) > 0.15  # the whole range is used
    assert np.ptp(y) > 0.2


def test_block_stays_where_it_was_put_at_the_start(physics: Physics) -> None:
    before = block(physics)
    physics.advance(steps(1.0))
    np.testing.assert_allclose(block(physics), before, atol=2e-3)


@pytest.mark.parametrize("seed", range(5))
def test_task_is_not_done_at_the_start(physics: Physics, seed: int) -> None:
    physics.reset(seed)
    assert physics.success() is False
    physics.advance(steps(0.5))
    assert physics.success() is False


def test_task_is_done_when_the_block_stands_on_the_mat(physics: Physics) -> None:
    draw_back(physics, 0.15)
    put_block(physics, *TARGET_XY_M, STANDING_Z_M)
    assert physics.success() is True
    physics.advance(steps(1.0))
    assert physics.success() is True


def test_task_is_not_done_with_the_right_gripper_closed_or_far_away(physics: Physics) -> None:
    draw_back(physics, 0.15)
    grip_right(physics, 0.03)
    put_block(physics, *TARGET_XY_M, STANDING_Z_M)
    assert physics.success() is False
    grip_right(physics, 0.08)
    assert physics.success() is True
    draw_back(physics, 0.22)
    put_block(physics, *TARGET_XY_M, STANDING_Z_M)
    assert physics.success() is False


@pytest.mark.parametrize(
    ("dx", "dy", "dz", "done"),
    [
        (0.019, 0, 0, True),
        (0.021, 0, 0, False),
        (-0.021, 0, 0, False),
        (0, 0.019, 0, True),
        (0, 0.021, 0, False),
        (0, 0, 0.002, False),
        (0, 0, 0.05, False),
    ],
)
def test_task_takes_the_listed_tolerances(physics: Physics, dx: float, dy: float, dz: float, done: bool) -> None:
    draw_back(physics, 0.15)
    put_block(physics, TARGET_XY_M[0] + dx, TARGET_XY_M[1] + dy, STANDING_Z_M + dz)
    assert physics.success() is done


def test_task_is_not_done_with_the_block_lying_down(physics: Physics) -> None:
    put_block(physics, *TARGET_XY_M, TABLE_TOP_M + MAT_THICKNESS_M + BLOCK_HALF_M[0], tilt_rad=np.pi / 2)
    physics.advance(steps(0.5))
    assert physics.success() is False


def test_unknown_task_is_named_with_the_known_ones() -> None:
    with pytest.raises(DriverError, match=r"unknown task 'juggle'; choose one of .*block_handover"):
        make_task("juggle")


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_says_what_to_do_and_builds(name: str) -> None:
    task = make_task(name)
    assert task.name == name
    assert task.instructions
    assert all(len(text) > 10 for text in task.instructions)
    assert task.step_limit > 0
    made = Physics(task)
    made.reset(1)
    assert made.success() is False
