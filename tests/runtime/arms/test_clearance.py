"""What is compiled for one tick measures what arrays do (collision.py, bodies.py), and does as its source says. By pytest."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from drivers.cobot_magic import TABLE_TOP_M, bases
from runtime.arms import clearance, joint_limits
from runtime.arms.bodies import capsule_ends, link_height_m, own_distance_m
from runtime.arms.collision import arm_distance_m, fingertip_height_m, link_points, sideways_gap_m
from runtime.arms.limits import Array, Limits
from runtime.config.safety_settings import Safety
from runtime.host.compiled import compiled

LIMITS = Limits.of(Safety())
FORMS: list[Callable[[Any], Any]] = [
    compiled("Tuple((f8,f8))(f8[::1],f8[:,:,::1],f8,f8,f8[::1],f8[:,::1])"),
    lambda written: written,
]
NEVER_ENOUGH, ALWAYS_ENOUGH = np.inf, -np.inf
STOPS = np.linspace(0, 1, 6)[:, None]


def as_written(function: Any) -> Any:
    """The function before it was compiled."""
    return getattr(function, "py_func", function)


def poses(count: int, seed: int = 5) -> Array:
    """Poses (count, 14) anywhere in the ranges."""
    return np.random.default_rng(seed).uniform(LIMITS.low, LIMITS.high, (count, 14))


def cleared(form: Any, q: Array, bases: Array, table_m: float, enough_m: float) -> tuple[float, float, Array]:
    """What `clearance_m` gives: fingertip height, arms' distance, and (2, 2) each arm's link height and own distance."""
    links = np.empty((2, 2))
    return *form(q, bases, table_m, enough_m, np.full(2, np.inf), links), links


@pytest.mark.parametrize("made", FORMS, ids=["compiled", "as written"])
def test_it_is_measured_as_with_arrays(made: Callable[[Any], Any]) -> None:
    form = made(clearance.clearance_m)
    for q in poses(60):
        points = link_points(q)
        lowest, apart, links = cleared(form, q, bases(), TABLE_TOP_M, NEVER_ENOUGH)
        assert lowest == pytest.approx(fingertip_height_m(points), abs=1e-12)
        assert apart == pytest.approx(arm_distance_m(points), abs=1e-9)
        for arm, ends in enumerate(capsule_ends(q)):
            assert links[arm, 0] == pytest.approx(link_height_m(ends), abs=1e-12)
            assert links[arm, 1] == pytest.approx(own_distance_m(ends), abs=1e-9)
        assert cleared(form, q, bases(), TABLE_TOP_M, ALWAYS_ENOUGH)[1] == pytest.approx(
            sideways_gap_m(points), abs=1e-12
        )


@pytest.mark.parametrize("made", FORMS, ids=["compiled", "as written"])
@pytest.mark.parametrize("enough_m", [0.03, -0.02, -0.5])
def test_an_own_distance_that_is_enough_is_cut_off_there(made: Callable[[Any], Any], enough_m: float) -> None:
    """Whatever is passed over on the way; below everything nothing is measured at all."""
    form = made(clearance.clearance_m)
    links, cut_off = np.empty((2, 2)), []
    for q in poses(30):
        form(q, bases(), TABLE_TOP_M, ALWAYS_ENOUGH, np.full(2, enough_m), links)
        for arm, ends in enumerate(capsule_ends(q)):
            assert links[arm, 1] == pytest.approx(min(own_distance_m(ends), enough_m), abs=1e-9)
            cut_off.append(links[arm, 1] == enough_m)
    assert any(cut_off) and (all(cut_off) or enough_m > -0.5)


def test_parallel_links_are_measured_too() -> None:
    """Both arms bolted the same way, in the same pose: every link of one is parallel to its like."""
    side_by_side = np.stack([np.eye(4), np.eye(4)])
    side_by_side[1, 0, 3] = 0.3
    q = np.tile(poses(1)[0, :7], 2)
    apart = cleared(clearance.clearance_m, q, side_by_side, 0.0, NEVER_ENOUGH)[1]
    assert apart == pytest.approx(arm_distance_m(link_points(q, side_by_side)), abs=1e-9)


ASKED_OF_NONE = np.full((2, 2), -np.inf)


@pytest.mark.parametrize("form", [clearance.keeps_clear, as_written(clearance.keeps_clear)])
def test_ways_are_judged_as_with_arrays(form: Any) -> None:
    """Of both verdicts there are many: ways that keep clear, lead too near, and lead away from too near."""
    dice, verdicts = np.random.default_rng(8), []
    for q in poses(150, seed=9):
        way, here = dice.normal(0, 0.2, 14), q - dice.normal(0, 0.01, 14)
        stop, points = link_points(q + STOPS * way), link_points(here)
        low = fingertip_height_m(stop) < min(0.1, fingertip_height_m(points))
        close = arm_distance_m(stop) < min(0.1, arm_distance_m(points))
        verdicts.append(form(q, way, here, bases(), TABLE_TOP_M, 0.1, 0.1, ASKED_OF_NONE))
        assert verdicts[-1] == (not low and not close)
    assert 20 < sum(verdicts) < 130


@pytest.mark.parametrize("form", [clearance.keeps_clear, as_written(clearance.keeps_clear)])
@pytest.mark.parametrize(("asked_m", "measured"), [(0.1, link_height_m), (0.06, own_distance_m)])
def test_the_ways_of_links_are_judged_for_each_arm(form: Any, asked_m: float, measured: Any) -> None:
    """An arm that is too near already must come no nearer, whatever the other does."""
    dice, verdicts = np.random.default_rng(10), []
    links_m = ASKED_OF_NONE.copy()
    links_m[:, 0 if measured is link_height_m else 1] = asked_m
    for q in poses(60, seed=11):
        way, here = dice.normal(0, 0.2, 14), q - dice.normal(0, 0.01, 14)
        way[7:], here[7:] = (0.0, q[7:]) if dice.random() < 0.5 else (way[7:], here[7:])
        stop, now = capsule_ends(q + STOPS * way), capsule_ends(here)
        near = [measured(stop[:, arm]) < min(asked_m, measured(now[arm])) for arm in range(2)]
        verdicts.append(form(q, way, here, bases(), TABLE_TOP_M, -np.inf, -np.inf, links_m))
        assert verdicts[-1] == (not any(near))
    assert 8 < sum(verdicts) < 52


def test_joints_are_tracked_and_braked_bit_for_bit_as_written() -> None:
    """From anywhere, to anywhere: what is compiled rounds as Python does."""
    dice = np.random.default_rng(4)
    for q in poses(200):
        motion = np.stack([q, dice.uniform(-1, 1, 14) * LIMITS.velocity, dice.uniform(-1, 1, 14) * LIMITS.acceleration])
        motion[2, :7] = 0.0  # those that go on as they go, some of them
        wanted, speed = (
            q + motion[1] * 0.005 + dice.normal(0, dice.choice([0, 1e-4, 0.1, 2.0]), 14),
            dice.normal(0, 1, 14),
        )
        compared: list[tuple[Any, tuple[Any, ...]]] = [
            (joint_limits.track_joints, (LIMITS.table, motion, wanted, speed, 0.005)),
            (joint_limits.brake_joints, (LIMITS.table, motion, 0.005)),
        ]
        for function, given in compared:
            assert function(*given).tobytes() == as_written(function)(*given).tobytes()


def test_no_other_type_compiles_it_anew() -> None:
    if hasattr(clearance.keeps_clear, "py_func"):
        brake: Any = joint_limits.brake_joints
        with pytest.raises(TypeError):
            brake(LIMITS.table.astype(np.float32), np.zeros((3, 14)), 0.005)
