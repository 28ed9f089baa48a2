"""The rules of the six tasks: where things begin, and where success begins and ends. Called by pytest; no arm moves."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.cobot_magic import TABLE_TOP_M
from drivers.errors import DriverError
from drivers.sim import scene
from drivers.sim.engine import mujoco
from drivers.sim.physics import Physics
from drivers.sim.tasks import TASKS, make_task, shifted_task
from drivers.sim.tasks.container_place import CONTAINER, PLATE_THICKNESS_M
from drivers.sim.tasks.empty_cup_place import COASTER, CUP
from drivers.sim.tasks.objects import lying, put
from drivers.task_names import KEPT_FROM

Scene = Callable[[str], Physics]


@pytest.fixture(scope="module")
def scenes() -> Scene:
    """A task's physics, made once."""
    made: dict[str, Physics] = {}

    def get(name: str) -> Physics:
        if name not in made:
            made[name] = Physics(make_task(name))
        made[name].reset(0)
        return made[name]

    return get


def place(physics: Physics, **places: tuple[float, float, float]) -> None:
    """Set things down."""
    for name, at_m in places.items():
        put(physics.data, name, np.array(at_m))
    mujoco.mj_forward(physics.model, physics.data)


def starts(physics: Physics, name: str, count: int = 200) -> NDArray[np.float64]:
    """(count, 7) where a thing begins."""
    found: list[NDArray[np.float64]] = []
    for seed in range(count):
        physics.reset(seed)
        found.append(physics.data.joint(name).qpos.copy())
    return np.stack(found)


def fills(values: NDArray[np.float64], low: float, high: float) -> bool:
    """Whether values use a range and stay inside."""
    width = high - low
    return bool(low <= values.min() < low + 0.15 * width and high - 0.15 * width < values.max() <= high)


def test_the_six_tasks_of_the_paper_are_there() -> None:
    limits = {name: kind.step_limit for name, kind in TASKS.items()}
    assert limits == {
        "block_handover": 600,
        "container_place": 350,
        "dual_bottles_pick_easy": 400,
        "dual_bottles_pick_hard": 400,
        "empty_cup_place": 500,
        "pick_apple_messy": 250,
    }


@pytest.mark.parametrize("name", sorted(TASKS))
def test_things_begin_at_rest_and_stay(scenes: Scene, name: str) -> None:
    physics = scenes(name)
    for seed in range(5):
        physics.reset(seed)
        before = physics.qpos()
        physics.advance(round(1.0 / scene.TIMESTEP_S))
        np.testing.assert_allclose(physics.qpos(), before, atol=5e-3)
        assert not physics.success()


@pytest.mark.parametrize(
    ("name", "y_m"), [("dual_bottles_pick_easy", (0.03, 0.23)), ("dual_bottles_pick_hard", (-0.1, 0.06))]
)
def test_bottles_begin_in_their_ranges(scenes: Scene, name: str, y_m: tuple[float, float]) -> None:
    physics = scenes(name)
    red, green = starts(physics, "red_bottle"), starts(physics, "green_bottle")
    assert fills(red[:, 0], -0.25, -0.05)
    assert fills(green[:, 0], 0.05, 0.25)
    assert fills(red[:, 1], *y_m)
    assert fills(green[:, 1], *y_m)


def test_half_of_the_hard_bottles_lie(scenes: Scene) -> None:
    poses = starts(scenes("dual_bottles_pick_hard"), "red_bottle", 400)
    down = poses[:, 2] < TABLE_TOP_M + 0.05
    assert 0.4 < down.mean() < 0.6
    rotated = np.array([_axis(pose[3:]) for pose in poses[down]])
    assert np.abs(rotated[:, 2]).max() < 1e-9
    yaw = np.arctan2(-rotated[:, 0], rotated[:, 1])
    assert fills(yaw, -1.4, 1.4)


def _axis(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    turned: Any = np.empty(3)
    mujoco.mju_rotVecQuat(turned, np.array([0.0, 0.0, 1.0]), quaternion)
    return turned


def test_a_lying_thing_points_where_its_yaw_says() -> None:
    np.testing.assert_allclose(_axis(np.array(lying(0.0))), [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(_axis(np.array(lying(np.pi / 2))), [-1, 0, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("dx", "z", "done"), [(0, 0.92, True), (0.029, 0.92, True), (0.031, 0.92, False), (0, 0.899, False)]
)
def test_bottles_are_done_lifted_and_near(scenes: Scene, dx: float, z: float, done: bool) -> None:
    for name, red, green in (
        ("dual_bottles_pick_easy", (-0.046, -0.105), (0.057, -0.105)),
        ("dual_bottles_pick_hard", (-0.07, -0.11), (0.06, -0.11)),
    ):
        physics = scenes(name)
        place(physics, red_bottle=(red[0] - dx, red[1], z), green_bottle=(*green, 0.95))
        assert physics.success() is done
        place(physics, red_bottle=(*red, 0.95), green_bottle=(green[0] + dx, green[1], z))
        assert physics.success() is done


def test_the_container_begins_on_both_sides(scenes: Scene) -> None:
    poses = starts(scenes("container_place"), "container")
    assert fills(np.abs(poses[:, 0]), 0.15, 0.3)
    assert fills(poses[:, 1], -0.1, 0.05)
    assert 0.4 < (poses[:, 0] > 0).mean() < 0.6


@pytest.mark.parametrize(
    ("dx", "dy", "dz", "done"),
    [(0, 0, 0, True), (0.019, 0, 0, True), (0.021, 0, 0, False), (0, -0.021, 0, False), (0, 0, 0.011, False)],
)
def test_the_container_is_done_on_the_plate(scenes: Scene, dx: float, dy: float, dz: float, done: bool) -> None:
    physics = scenes("container_place")
    middle_m = TABLE_TOP_M + CONTAINER.half_height_m
    place(physics, container=(dx, -0.05 + dy, middle_m + dz))
    assert physics.success() is done
    if done:
        place(physics, container=(dx, -0.05 + dy, middle_m + PLATE_THICKNESS_M))
        assert physics.success(), "standing on the plate"
        for side in range(2):  # holding it is not done
            physics.command(side, np.append(physics.arms()[side, 0, :6], 0.05))
            physics.advance(400)
            place(physics, container=(dx, -0.05 + dy, middle_m))
        assert not physics.success()


def test_cup_and_coaster_begin_apart(scenes: Scene) -> None:
    physics = scenes("empty_cup_place")
    cup, coaster = starts(physics, "cup"), starts(physics, "coaster")
    assert fills(np.abs(cup[:, 0]), 0.15, 0.3)
    assert fills(coaster[:, 0], -0.05, 0.05)
    assert np.hypot(*(cup - coaster)[:, :2].T).min() >= 0.1


@pytest.mark.parametrize(
    ("dx", "dy", "dz", "done"),
    [(0, 0, 0, True), (0.024, 0, 0, True), (0.026, 0, 0, False), (0, -0.026, 0, False), (0, 0, 0.01, False)],
)
def test_the_cup_is_done_on_the_coaster(scenes: Scene, dx: float, dy: float, dz: float, done: bool) -> None:
    physics = scenes("empty_cup_place")
    standing_m = TABLE_TOP_M + 2 * COASTER.half_height_m + CUP.half_height_m
    place(
        physics, coaster=(0.02, 0.03, TABLE_TOP_M + COASTER.half_height_m), cup=(0.02 + dx, 0.03 + dy, standing_m + dz)
    )
    assert physics.success() is done


def test_a_cup_on_the_coaster_stands_as_high_as_the_rule_says() -> None:
    standing_m = TABLE_TOP_M + 2 * COASTER.half_height_m + CUP.half_height_m
    assert standing_m == pytest.approx(0.792, abs=1e-9)


def test_the_mess_lies_apart(scenes: Scene) -> None:
    physics = scenes("pick_apple_messy")
    names = ["apple", "mess_bottle", "mess_cup", "mess_box", "mess_can"]
    poses = np.stack([starts(physics, name, 100)[:, :2] for name in names])
    for first in range(len(names)):
        for second in range(first):
            assert np.linalg.norm(poses[first] - poses[second], axis=-1).min() >= 0.15


@pytest.mark.parametrize(("z", "done"), [(0.811, True), (0.809, False)])
def test_the_apple_is_done_lifted(scenes: Scene, z: float, done: bool) -> None:
    physics = scenes("pick_apple_messy")
    place(physics, apple=(0.1, 0.0, z))
    assert physics.success() is done


@pytest.mark.parametrize("name", sorted(TASKS))
def test_an_unseen_object_looks_otherwise_and_keeps_the_rule(name: str) -> None:
    seen, unseen = Physics(make_task(name)), Physics(shifted_task(name, "objects", KEPT_FROM))
    seen.reset(3)
    unseen.reset(3)
    np.testing.assert_allclose(seen.qpos()[:16], unseen.qpos()[:16])
    assert not np.array_equal(seen.model.geom_rgba, unseen.model.geom_rgba)
    assert seen.model.nq == unseen.model.nq


@pytest.mark.parametrize("shift", ["background", "lighting"])
@pytest.mark.parametrize("seed", [KEPT_FROM, KEPT_FROM + 3])
def test_background_and_lighting_change_no_physics(shift: Any, seed: int) -> None:
    plain, shifted = Physics(make_task("pick_apple_messy")), Physics(shifted_task("pick_apple_messy", shift, seed))
    for physics in (plain, shifted):
        physics.reset(2)
        physics.advance(200)
    assert np.array_equal(plain.qpos(), shifted.qpos())


def test_an_unknown_task_is_refused_under_a_shift_too() -> None:
    with pytest.raises(DriverError, match="unknown task 'juggle'"):
        shifted_task("juggle", "all", 0)
