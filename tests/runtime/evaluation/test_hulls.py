"""The area of hands' paths, against shapes whose area is known. Called by pytest."""

import numpy as np
import pytest

from runtime.evaluation import hulls

RECTANGLE = np.array([[0.0, 0.8], [0.1, 0.8], [0.1, 1.0], [0.0, 1.0]])  # 10 x 20 cm


def test_a_rectangle_has_its_area_whatever_lies_within() -> None:
    within = np.array([[0.05, 0.9], [0.02, 0.95], [0.1, 0.85]])
    assert hulls.area_cm2([RECTANGLE]) == pytest.approx(200)
    assert hulls.area_cm2([RECTANGLE[:2], within, RECTANGLE[2:]]) == pytest.approx(200)
    corners = hulls.outline(np.concatenate([within[:2], RECTANGLE]))
    assert {tuple(corner) for corner in corners.tolist()} == {tuple(corner) for corner in RECTANGLE.tolist()}


def test_a_triangle_of_two_paths() -> None:
    down, aside = np.array([[0.0, 1.0], [0.0, 0.7]]), np.array([[0.0, 0.7], [0.4, 0.7]])
    assert hulls.area_cm2([down, aside]) == pytest.approx(30 * 40 / 2)


@pytest.mark.parametrize("points", [[[0.1, 0.9]], [[0.1, 0.9], [0.2, 0.9]], [[0.0, 0.7], [0.0, 0.8], [0.0, 1.0]]])
def test_what_lies_on_a_line_has_no_area(points: list[list[float]]) -> None:
    assert hulls.area_cm2([np.array(points)]) == 0
    assert len(hulls.outline(np.array(points))) == 0
    assert hulls.interval_cm2([np.array(points)] * 3) == (0, 0)


def test_the_interval_tells_how_much_hangs_on_single_episodes() -> None:
    alike = [RECTANGLE] * 10
    assert hulls.interval_cm2(alike) == pytest.approx((200, 200))
    outlier = np.array([[0.0, 0.8], [0.3, 0.8]])
    low, high = hulls.interval_cm2([*alike, outlier])
    assert hulls.area_cm2([*alike, outlier]) == pytest.approx(400)
    assert (low, high) == pytest.approx((200, 400)), "a third of the draws leave the outlier out"
    assert hulls.interval_cm2([*alike, outlier]) == (low, high), "the same again"


def test_paths_that_are_alike_are_no_broader_than_one() -> None:
    area = hulls.spanned([RECTANGLE, RECTANGLE, RECTANGLE])
    assert area.one_cm2 == pytest.approx(area.all_cm2) == 200
    aside = hulls.spanned([RECTANGLE, RECTANGLE + np.array([0.1, 0.0])])
    assert aside.one_cm2 == pytest.approx(200) and aside.all_cm2 == pytest.approx(400)
