"""Narrow systems of equations, solved alike everywhere. Called by pytest."""

import hashlib
from typing import Any

import numpy as np
import pytest
import scipy.linalg

from runtime.arms import banded
from runtime.arms.trajectory import second_derivatives, smoother

FORMS = [banded.solved, getattr(banded.solved, "py_func", banded.solved)]


@pytest.mark.parametrize("solved", FORMS)
@pytest.mark.parametrize(("count", "band"), [(1, 1), (2, 3), (16, 1), (64, 3)])
def test_it_solves_what_a_library_solves(solved: Any, count: int, band: int) -> None:
    dice = np.random.default_rng(count)
    matrix = np.triu(np.tril(dice.uniform(-1, 1, (count, count)), band), -band) + 8 * np.eye(count)
    right = dice.normal(size=(count, 5))
    kept = matrix.copy(), right.copy()
    np.testing.assert_allclose(solved(matrix, right, band), scipy.linalg.solve(matrix, right), atol=1e-12)
    assert (matrix == kept[0]).all() and (right == kept[1]).all()


@pytest.mark.parametrize("solved", FORMS)
def test_both_forms_give_the_bits_that_other_processors_gave(solved: Any) -> None:
    """Recorded on an Intel Xeon with AVX-512."""
    dice = np.random.default_rng(7)
    matrix = np.triu(np.tril(dice.uniform(-1, 1, (64, 64)), 3), -3) + 8 * np.eye(64)
    digest = hashlib.sha256(solved(matrix, dice.uniform(-1, 1, (64, 64)), 3).tobytes()).hexdigest()
    assert digest[:16] == "3f6d9a5287d759ff"


def test_what_chunks_are_smoothed_and_bent_by_has_the_same_bits_everywhere() -> None:
    made = b"".join(array.tobytes() for array in (smoother(64, 10.0), smoother(16, 640.0), second_derivatives(64)))
    assert hashlib.sha256(made).hexdigest()[:16] == "6f73faaea025991a"


@pytest.mark.parametrize("weight", [0.0, 10.0, 1e6])
def test_sessions_of_before_are_replayed_by_a_library_that_differs_by_rounding(weight: float) -> None:
    np.testing.assert_allclose(smoother(64, weight), smoother(64, weight, "lapack"), atol=1e-10)
    np.testing.assert_allclose(second_derivatives(64), second_derivatives(64, "lapack"), atol=1e-14)
