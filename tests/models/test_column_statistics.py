"""Statistics of columns in parts are those of all rows together; quantiles of colours lie within a level. Called by pytest."""

import numpy as np
import pytest

from models.data.column_statistics import QUANTILES, ColourStatistics, NumberStatistics


def test_numbers_in_parts_are_those_of_all() -> None:
    rows = np.random.default_rng(1).normal(size=(1000, 3)).astype(np.float32) * [1, 10, 0.1]
    made = NumberStatistics()
    for part in np.array_split(rows, 7):
        made.add(part)
    found = made.summary(())
    assert set(found) == {"min", "max", "mean", "std", "count", *QUANTILES}
    assert found["count"] == [1000]
    np.testing.assert_allclose(found["std"], rows.std(0), rtol=1e-6)
    for name, share in QUANTILES.items():
        np.testing.assert_allclose(found[name], np.quantile(rows, share, axis=0), rtol=1e-6)


def test_colours_in_parts_are_those_of_all_within_a_level() -> None:
    random = np.random.default_rng(2)
    pixels = np.stack([random.integers(0, top, 5000) for top in (256, 60, 2)], axis=1).astype(np.uint8)
    made = ColourStatistics()
    for part in np.array_split(pixels, 3):
        made.add(part)
    found = made.summary((3, 1, 1))
    np.testing.assert_allclose(np.ravel(found["mean"]), (pixels / 255).mean(0), rtol=1e-9)
    for name, share in QUANTILES.items():
        exact = np.quantile(pixels / 255, share, axis=0, method="inverted_cdf")
        np.testing.assert_allclose(np.ravel(found[name]), exact, atol=1e-9)


@pytest.mark.parametrize("value", [0, 255])
def test_pictures_of_one_colour_have_it_at_every_quantile(value: int) -> None:
    made = ColourStatistics()
    made.add(np.full((50, 3), value, np.uint8))
    assert all(np.allclose(made.summary((3,))[name], value / 255) for name in QUANTILES)
