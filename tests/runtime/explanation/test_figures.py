"""The figures of maps, and what is painted of them. Called by pytest."""

import numpy as np
import pytest

from runtime.explanation import figures, strip
from runtime.explanation.figures import Cell, Column, Explained
from runtime.explanation.strip import Shots, Shown

MASK = np.zeros((6, 8), bool)
MASK[2:4, 3:6] = True
LIKE_MASK = MASK.astype(np.float32)


def test_all_of_a_map_that_equals_the_mask_lies_on_it() -> None:
    assert figures.share(LIKE_MASK, MASK) == 1
    assert figures.share(1 - LIKE_MASK, MASK) == 0
    assert figures.share(np.ones((6, 8), np.float32), MASK) == pytest.approx(MASK.mean())


def test_a_map_of_nothing_or_an_object_out_of_sight_has_no_share() -> None:
    assert figures.share(np.zeros((6, 8), np.float32), MASK) is None
    assert figures.share(LIKE_MASK, np.zeros((6, 8), bool)) is None


def test_stability_is_1_for_the_same_shape_and_minus_1_for_its_opposite() -> None:
    random = np.random.default_rng(0).random((4, 5), np.float32)
    assert figures.stability(random, 3 * random) == pytest.approx(1)
    assert figures.stability(random, 1 - random) == pytest.approx(-1)
    assert figures.stability(random, np.ones((4, 5), np.float32)) is None
    assert figures.stability(random, None) is None


def explained(*cells: Cell) -> Explained:
    """A session with a moment for each cell of one layer."""
    columns = tuple(Column(float(place), place, 0.5, {"eyes head": cell}) for place, cell in enumerate(cells))
    return Explained("run", "block_handover", "none", 7, "abc", "", columns)


def test_the_table_means_what_is_known() -> None:
    """A map of nothing has no share: it counts neither as 0 nor for the area beside it."""
    seen, nothing = Cell(0.1, 0.4, 0.9), Cell(0.5, None, None)
    assert explained(seen, nothing).layers()["eyes head"] == Cell(0.1, 0.4, 0.9)
    *_, line = figures.table([explained(seen, nothing)])
    assert line.split() == ["eyes", "head", "10.0", "%", "40.0", "%", "0.90"]


def test_what_is_unknown_is_a_dash() -> None:
    *_, line = figures.table([explained(Cell(None, None, None))])
    assert line.split() == ["eyes", "head", "-", "-", "-"]


def test_figures_of_a_layer_follow_from_its_map() -> None:
    cell = figures.cell(LIKE_MASK, 1 - LIKE_MASK, LIKE_MASK, MASK)
    assert (cell.area, cell.share) == (6 / 48, 1.0)
    assert cell.stability == pytest.approx(-1)
    assert figures.cell(LIKE_MASK, None, LIKE_MASK, None) == Cell(None, None, None)


def shown(found: np.ndarray, mask: np.ndarray | None = MASK) -> Shown:
    """A grey picture with a map."""
    return Shown(np.full((6, 8, 3), 100, np.uint8), found, mask, Cell(0.1, 0.25, 0.9))


def test_the_strip_has_room_for_all_rows_and_columns_and_writes_beside_them() -> None:
    columns = [Shots(place, 0.5, {"eyes head": shown(LIKE_MASK), "eyes far": shown(LIKE_MASK)}) for place in (1.0, 2.0)]
    image = np.asarray(strip.strip("a title", [("eyes head", "more"), ("eyes far",)], columns))
    height = strip.WIDTH_PX * 6 // 8
    assert image.shape == (
        5 * 20 + 2 * (height + strip.GAP_PX),
        strip.GUTTER_PX + 2 * (strip.WIDTH_PX + strip.GAP_PX),
        3,
    )
    dark = image.max(2) < 100
    lines = [dark[top : top + 20].any() for top in (0, 20, 40)]
    assert all(lines), "title and legend"
    assert dark[60:100, strip.GUTTER_PX : strip.GUTTER_PX + strip.WIDTH_PX].any(), "the first column's caption"
    assert dark[100:140, : strip.GUTTER_PX].any(), "the first row's name"
    cyan = (image == (0, 255, 255)).all(2)
    assert cyan[100 : 100 + height, strip.GUTTER_PX :].any(), "the object's outline"


def test_captions_say_share_and_stability() -> None:
    assert strip.caption(shown(LIKE_MASK)) == "on object: 25 %   stable: 0.90"
    assert strip.caption(shown(np.zeros((6, 8), np.float32))) == "no place makes the arms move more"


def test_the_highest_place_glows_and_nought_leaves_the_grey_picture() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    painted = strip.painted(picture, LIKE_MASK)
    assert (painted[~MASK].std(axis=1) == 0).all(), "grey"
    assert (painted[MASK][:, 0] > painted[MASK][:, 2].astype(int) + 80).all(), "yellow"


def test_an_outline_lies_around_the_object() -> None:
    edge = strip.outline(MASK)
    assert edge.sum() == 2 * (2 + 3) and not (edge & MASK).any()
