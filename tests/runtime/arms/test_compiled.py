"""What is compiled for one tick, in both its forms: as its source says, and as machine code. Called by pytest.

That .ci/run covers the source is why each is called as written too. clearance.py and joint_limits.py: test_clearance.py.
"""

from typing import Any

import numpy as np
import pytest
from scipy.interpolate import BPoly, CubicSpline

from drivers.cobot_magic import ready_pose
from runtime.arms import following, joint_limits, limits, spline, target_stream
from runtime.arms.trajectory import second_derivatives
from runtime.config.safety_settings import Safety
from runtime.host.compiled import compiled, fused

DT_S = 0.04


def forms(function: Any) -> list[Any]:
    return [function, getattr(function, "py_func", function)]


@pytest.mark.parametrize("on_spline", forms(spline.on_spline))
def test_a_point_between_two_others_is_that_of_a_natural_spline(on_spline: Any) -> None:
    q = np.random.default_rng(1).normal(size=(9, 14))
    curvature = second_derivatives(9) @ q / DT_S**2
    expected = CubicSpline(np.arange(9) * DT_S, q, bc_type="natural")
    for place in (0.0, 0.3, 3.5, 6.999, 8.0):
        index = min(int(place), 7)
        made = on_spline(q[index : index + 2], curvature[index : index + 2], place - index, DT_S, 1.0, spline.POWERS)
        for derivative, row in enumerate(made):
            np.testing.assert_allclose(row, expected(place * DT_S, derivative), atol=1e-9 / DT_S**derivative)


@pytest.mark.parametrize("on_spline", forms(spline.on_spline))
@pytest.mark.parametrize("moves", [0.0, 1.0])
def test_before_the_first_point_it_goes_on_straight_or_stands(on_spline: Any, moves: float) -> None:
    q = np.random.default_rng(2).normal(size=(9, 14))
    curvature = second_derivatives(9) @ q / DT_S**2
    slope = CubicSpline(np.arange(9) * DT_S, q, bc_type="natural")(0.0, 1)
    made = on_spline(q[:2], curvature[:2], -0.5, DT_S, moves, spline.POWERS)
    np.testing.assert_allclose(made[0], q[0] - slope * 0.5 * DT_S, atol=1e-12)
    np.testing.assert_allclose(made[1], slope * moves, atol=1e-9)
    assert not made[2].any()


@pytest.mark.parametrize("faded", forms(spline.faded))
def test_an_offset_fades_out_along_the_quintic_that_its_ends_define(faded: Any) -> None:
    offset = np.random.default_rng(3).normal(size=(3, 14))
    quintic = BPoly.from_derivatives([0, 0.25], [list(offset), [np.zeros(14)] * 3])
    for after_s in (0.0, 0.01, 0.125, 0.249):
        made = faded(offset, after_s, 0.25, spline.POWERS)
        for derivative, row in enumerate(made):
            np.testing.assert_allclose(row, quintic(after_s, nu=derivative), atol=1e-10 / 0.25 ** (derivative + 2))
    np.testing.assert_array_equal(faded(offset, -0.1, 0.25, spline.POWERS), faded(offset, 0.0, 0.25, spline.POWERS))
    for after_s in (0.25, 3.0):
        assert not faded(offset, after_s, 0.25, spline.POWERS).any()


def test_both_forms_round_alike_as_matrix_products_did() -> None:
    dice = np.random.default_rng(4)
    for _ in range(200):
        points, curvature, offset = dice.normal(size=(2, 14)), dice.normal(size=(2, 14)), dice.normal(size=(3, 14))
        b, after_s = dice.uniform(-1, 1), dice.uniform(0, 0.2)
        made = [form(points, curvature, b, DT_S, 1.0, spline.POWERS).tobytes() for form in forms(spline.on_spline)]
        left = [form(offset, after_s, 0.25, spline.POWERS).tobytes() for form in forms(spline.faded)]
        assert len(set(made)) == len(set(left)) == 1


@pytest.mark.parametrize("on_piece", forms(spline.on_piece))
def test_a_piece_is_its_spline_and_what_is_left_of_its_offset(on_piece: Any) -> None:
    dice = np.random.default_rng(5)
    points, curvature, offset = dice.normal(size=(9, 14)), dice.normal(size=(9, 14)), dice.normal(size=(3, 14))
    for place, index, moves in ((-1.0, 0, 0.0), (-0.5, 0, 1.0), (0.0, 0, 1.0), (3.25, 3, 1.0), (8.0, 7, 1.0)):
        pair = slice(index, index + 2)
        alone = spline.on_spline(points[pair], curvature[pair], place - index, DT_S, moves, spline.POWERS)
        left = spline.faded(offset, 0.1, 0.25, spline.POWERS)
        for fade_s, expected in ((0.0, alone), (0.25, alone + left)):
            made = on_piece(points, curvature, place, DT_S, offset, 0.1, fade_s, spline.POWERS)
            np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("on_piece", forms(spline.on_piece))
def test_a_single_target_is_a_pose(on_piece: Any) -> None:
    points = np.random.default_rng(6).normal(size=(1, 14))
    made = on_piece(points, np.zeros((1, 14)), -0.5, DT_S, np.zeros((3, 14)), 0.1, 0.0, spline.POWERS)
    np.testing.assert_array_equal(made, [points[0], np.zeros(14), np.zeros(14)])


@compiled("f8(f8,f8,f8)")
def _fused(a: float, b: float, c: float) -> float:
    return fused(a, b, c)


@pytest.mark.parametrize("form", [_fused, fused])
def test_a_fused_sum_is_rounded_once(form: Any) -> None:
    a = 1 + 2.0**-30
    assert form(a, a, -1.0) == 2.0**-29 + 2.0**-60
    assert a * a - 1 == 2.0**-29, "with two roundings the last part is lost"


@pytest.mark.parametrize("follows", forms(following.follows))
def test_a_joint_follows_up_to_the_limit_and_a_gripper_anywhere(follows: Any) -> None:
    commanded = np.linspace(-1, 1, 14)
    for joint in range(14):
        for away, expected in ((0.1, True), (-0.1, True), (0.11, False), (-0.11, False), (np.nan, False)):
            q = commanded.copy()
            q[joint] += away
            q = np.where(np.abs(q - commanded - away) < 1e-15, commanded + away, q)
            assert follows(commanded, q, 0.1 + 1e-9) == (expected or joint in (6, 13)), (joint, away)


@pytest.mark.parametrize("bend_m", forms(limits.bend_m))
def test_a_longer_way_bends_more_up_to_the_largest_bend(bend_m: Any) -> None:
    way = np.zeros(14)
    assert bend_m(way) == 0
    way[9], way[3] = -0.5, 0.2
    assert bend_m(way) == pytest.approx(0.06)
    way[9] = 9.0
    assert bend_m(way) == 0.12


TICK_S = 0.005
BOTH = np.array([[-1.0, -1.0], [1.0, 1.0], [3.0, 0.25], [5.0, 2.0], [100.0, 60.0]])  # of a joint and of a gripper


def target_after(
    dq: float, ddq: float, ticks: int = 1, speed: float = 0.0, off: tuple[float, float] = (0, 0)
) -> np.ndarray:
    """Where a joint is after so many ticks from a speed on, by one acceleration; the gripper stands. (3, 2)."""
    way = dq * TICK_S if ticks == 1 else (speed + dq) / 2 * ticks * TICK_S
    return np.array([[way + off[0], off[1]], [dq, 0.0], [ddq, 0.0]])


@pytest.mark.parametrize("continues", forms(target_stream.continues))
@pytest.mark.parametrize(
    ("speed", "target", "ticks", "expected"),
    [
        (0.0, target_after(0.0, 0.0), 1, True),
        (1.0, target_after(1.0, 0.0), 1, True),
        (1.0, target_after(1.0025, 0.5), 1, True),
        (1.0, target_after(1.003, 0.6), 1, False),  # jerk
        (3.0, target_after(3.0025, 0.5), 1, False),  # velocity
        (1.0, target_after(1.026, 5.2), 1, False),  # acceleration
        (1.0, target_after(1.0025, 0.0), 1, False),  # a speed that its acceleration does not give
        (1.0, target_after(1.0, 0.0, off=(1e-6, 0.0)), 1, False),  # a way that its speed does not give
        (1.0, target_after(1.0, 0.0, off=(0.0, 1e-6)), 1, False),  # any joint
        (1.0, target_after(1.04, 1.4, 3, 1.0), 3, True),
        (1.0, target_after(1.04, 1.6, 3, 1.0), 3, False),
        (1.0, target_after(1.08, 1.4, 3, 1.0), 3, False),
        (1.0, target_after(1.04, 1.4, 3, 1.0, (2e-4, 0.0)), 3, True),
        (1.0, target_after(1.04, 1.4, 3, 1.0, (4e-4, 0.0)), 3, False),
    ],
)
def test_a_target_continues_what_was_sent_only_within_the_limits(
    continues: Any, speed: float, target: np.ndarray, ticks: int, expected: bool
) -> None:
    motion = np.array([[0.0, 0.0], [speed, 0.0], [0.0, 0.0]])
    assert continues(BOTH, motion, target, ticks, TICK_S) is expected


@pytest.mark.parametrize("least_of_links_m", forms(limits.least_of_links_m))
def test_more_is_asked_of_the_links_of_an_arm_with_a_longer_way(least_of_links_m: Any) -> None:
    """Its first joint counts for the height alone, a gripper for neither, and the other arm not at all."""
    way = np.zeros(14)
    way[[3, 5, 6, 7]] = -0.5, 0.25, 9.0, 0.25
    own_m = 0.2 + 0.04 * 0.25 + 0.015 * 0.5**2
    np.testing.assert_allclose(least_of_links_m(way, 0.1, 0.2), [[0.12, own_m], [0.11, 0.2]])
    way[[3, 5]] = 0.25, -0.5  # in whatever order
    np.testing.assert_allclose(least_of_links_m(way, 0.1, 0.2), [[0.12, own_m], [0.11, 0.2]])
    way[:] = 9.0
    np.testing.assert_allclose(least_of_links_m(way, 0.1, 0.2), [[0.15, 0.23], [0.15, 0.23]])


@pytest.mark.parametrize("next_command", forms(limits.next_command))
def test_the_next_command_is_the_tracked_one_unless_its_stop_comes_too_near(next_command: Any) -> None:
    bounds, pose = limits.Limits.of(Safety()), ready_pose()
    still, up, down = (np.stack((pose, np.zeros(14), np.zeros(14))) for _ in range(3))
    up[1, 1], down[1, 1] = -1.0, 1.0  # the left arm's second joint leads it away from the table, or to it
    for before, wanted, floor_m, brakes in (
        (still, pose, 0.0, False),  # at rest nothing is measured
        (still, pose, 9.0, False),
        (up, pose - 0.2, -9.0, False),
        (down, pose + 0.2, 9.0, True),
    ):
        least_m = np.array((floor_m, -9.0, floor_m, -9.0))
        made = next_command(bounds.table, before, wanted, np.zeros(14), TICK_S, bounds.bases, bounds.table_m, least_m)
        tracked = joint_limits.track_joints(bounds.table, before, wanted, np.zeros(14), TICK_S)[:3]
        braked = joint_limits.brake_joints(bounds.table, before, TICK_S)
        np.testing.assert_array_equal(made, braked if brakes else tracked)
        assert np.array_equal(tracked, braked) == (before is still)
