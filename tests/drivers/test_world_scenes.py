"""Drawn worlds as scenes: what is drawn shows, nothing flickers, strays lie in nobody's way, and experts still succeed."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import simplejpeg
from test_experts import done

from drivers.cobot_magic import HIGH, LOW, TABLE_TOP_M
from drivers.sim import experts, film, scene, shift_suites, strays, textures, training_worlds
from drivers.sim.appearance import USUAL, Appearance, CameraOffset, Lamp, Lighting, Stray, Surface
from drivers.sim.camera_renderer import Eye
from drivers.sim.experts.script import demands
from drivers.sim.physics import Physics
from drivers.sim.rollout import Rollout
from drivers.sim.tasks import TASKS, make_task, shifted_task

NAMES = sorted(TASKS)


@pytest.fixture(scope="module")
def eye() -> Iterator[Eye]:
    made = Eye("head", make_task("container_place"), 96, 72, 0)
    yield made
    made.close()


@pytest.fixture
def physics() -> Physics:
    made = Physics(make_task("container_place"))
    made.reset(0)
    return made


def shown(eye: Eye, physics: Physics, world: Appearance) -> np.ndarray:
    """The clean picture of a scene in a world."""
    eye.show(make_task("container_place", world))
    return eye.render(physics.qpos()).astype(int)


def test_an_eye_that_was_given_a_world_sees_it_as_a_new_one_does(eye: Eye) -> None:
    task = make_task("pick_apple_messy", training_worlds.draw("pick_apple_messy", 4))
    made = Physics(task)
    made.reset(4)
    eye.show(task)
    eye.restart(4)
    other = Eye("head", task, 96, 72, 4)
    assert eye.jpeg(made.qpos()) == other.jpeg(made.qpos())
    other.close()


def test_nothing_flickers_within_an_episode(eye: Eye) -> None:
    task = make_task("pick_apple_messy", training_worlds.draw("pick_apple_messy", 4))
    made = Physics(task)
    made.reset(4)
    eye.show(task)
    first = eye.render(made.qpos()).copy()
    assert all(np.array_equal(first, eye.render(made.qpos())) for _ in range(5))


def test_exposure_lamps_cameras_and_surfaces_show(eye: Eye, physics: Physics) -> None:
    usual = shown(eye, physics, USUAL)
    dark, bright = (shown(eye, physics, replace(USUAL, exposure=by)) for by in (0.6, 1.3))
    assert dark.mean() < 0.75 * usual.mean() and bright.mean() > 1.05 * usual.mean()
    red = Lighting((0.3, 0.3, 0.3), (0.1, 0.1, 0.1), (Lamp((1, 1, 2.5), (-0.4, -0.4, -0.8), (0.9, 0, 0)),))
    lit = shown(eye, physics, replace(USUAL, lighting=red)).mean((0, 1))
    assert lit[0] > lit[2] + 20
    moved = shown(eye, physics, replace(USUAL, cameras={"head": CameraOffset((0.01, 0, 0), (0, 0, 0.02))}))
    assert 0.2 < np.abs(moved - usual).mean() < 20
    background = shift_suites.draw("container_place", "background", 1000003).background
    assert np.abs(shown(eye, physics, replace(USUAL, background=background)) - usual).mean() > 20


def test_noise_is_the_worlds(eye: Eye, physics: Physics) -> None:
    sizes: list[float] = []
    for sigma in (0.5, 6.0):
        eye.show(make_task("container_place", replace(USUAL, noise_sigma=sigma)))
        eye.restart(1)
        clean = eye.render(physics.qpos()).astype(int)
        sizes.append(float((simplejpeg.decode_jpeg(eye.jpeg(physics.qpos())) - clean).std()))
    assert sizes[1] > 1.2 * sizes[0]  # a JPEG is off as well


@pytest.mark.parametrize("family", sorted(textures.FAMILIES))
def test_a_texture_mixes_its_two_colours(family: str) -> None:
    found = textures.pixels(Surface((1, 0, 0), (0, 0, 1), family, 4.0, 3))
    assert found.shape == (textures.SIZE_PX, textures.SIZE_PX, 3) and found.dtype == np.uint8
    np.testing.assert_allclose(found[..., 0].astype(int) + found[..., 2], 255, atol=1)
    assert not found[..., 1].any()
    assert (family == "plain") is not bool(np.ptp(found[..., 0]))
    assert np.array_equal(found, textures.pixels(Surface((1, 0, 0), (0, 0, 1), family, 4.0, 3)))


@pytest.mark.parametrize("kind", sorted(strays.SHAPES))
def test_a_stray_stays_where_it_is_put(kind: str) -> None:
    world = Appearance(strays=(Stray(kind, (0.2, 0.5, 0.9), (0.9, 0.5, 0.2), 0.03, 0.06),))
    made = Physics(make_task("container_place", world))
    made.reset(1)
    before = made.qpos()
    made.advance(round(1.0 / scene.TIMESTEP_S))
    np.testing.assert_allclose(made.qpos(), before, atol=5e-3)
    assert made.free_objects == ["container", "stray0"]


@pytest.mark.parametrize("name", NAMES)
def test_strays_lie_apart_and_in_nobodys_way(name: str) -> None:
    made = Physics(make_task(name, training_worlds.draw(name, 11)))
    on_table = 0
    for seed in range(40):
        made.reset(seed)
        places = {body: made.data.joint(body).qpos[:3].copy() for body in made.free_objects}
        mine = [place for body, place in places.items() if body.startswith("stray") and place[2] > TABLE_TOP_M]
        others = [place[:2] for body, place in places.items() if not body.startswith("stray")]
        on_table += len(mine)
        for place in mine:
            near = min(np.hypot(*(place[:2] - other)) for other in [*others, *map(np.array, made.task.goals_m)])
            assert near >= 0.15
    assert on_table >= 40, "most scenes have room for some"


@pytest.mark.parametrize("name", NAMES)
def test_experts_do_drawn_worlds_within_limits(name: str) -> None:
    made = Physics(make_task(name, training_worlds.draw(name, 3001)))
    made.reset(3001)
    targets = experts.plan(made)
    speed, acceleration, jerk = demands(np.delete(targets, [6, 13], axis=1))
    assert speed <= 1.6 + 1e-9 and acceleration <= 5 and jerk <= 100
    assert done(made, targets)


@pytest.mark.parametrize("name", NAMES)
def test_experts_handle_the_suites_too(name: str) -> None:
    for seed in (1000000, 1000007):
        made = Physics(shifted_task(name, "all", seed))
        made.reset(seed)
        assert done(made, experts.plan(made))


def test_films_keep_to_the_joints_ranges_and_differ_from_the_expert() -> None:
    made = Physics(make_task("container_place"))
    made.reset(5)
    expert = experts.plan(made)
    pushed, chance = film.disturbed(made, np.random.default_rng(2)), film.by_chance(made, np.random.default_rng(2))
    assert pushed.shape == expert.shape and np.abs(pushed - expert).max() > 0.02
    speed, acceleration, jerk = demands(np.delete(chance, [6, 13], axis=1))
    assert speed <= 1.6 + 1e-9 and acceleration <= 5 and jerk <= 100
    assert np.ptp(chance, axis=0).max() > 0.3
    for targets in (pushed, chance):
        assert (targets >= np.tile(LOW, 2) - 1e-9).all() and (targets <= np.tile(HIGH, 2) + 1e-9).all()
    assert np.array_equal(chance, film.by_chance(made, np.random.default_rng(2)))


def test_a_rollout_goes_on_in_another_world() -> None:
    rollout = Rollout(make_task("container_place"), 48, 36, cameras=("head",))
    rollout.reset(1)
    plain = rollout.pictures([rollout.moment()])
    rollout.show(make_task("pick_apple_messy", training_worlds.draw("pick_apple_messy", 2)))
    rollout.reset(2)
    other = rollout.pictures([rollout.moment()])
    rollout.show(make_task("container_place"))
    rollout.reset(1)
    assert rollout.pictures([rollout.moment()]) == plain != other
    assert set(plain) == {"head"}
    rollout.close()
