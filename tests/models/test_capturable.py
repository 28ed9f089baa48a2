"""The mode by which the tests look for what a capture refuses. Called by pytest."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from capturable import Capturable

X = torch.tensor([1.0, -1.0, 2.0])


def test_operations_are_counted_and_views_start_no_kernel() -> None:
    with Capturable() as seen:
        (X + X).view(3, 1).transpose(0, 1).mul(2.0)
    assert seen.operations == {"add": 1, "view": 1, "transpose": 1, "mul": 1}
    assert seen.launches == 2


@pytest.mark.parametrize(
    "waits",
    [
        lambda: X.sum().item(),
        lambda: float(X[0]),
        lambda: bool(X.any()),
        X.nonzero,
        lambda: X[X > 0],
        lambda: X.masked_select(X > 0),
        X.unique,
        X.unique_consecutive,
    ],
)
def test_what_waits_for_the_device_is_refused(waits: Callable[[], Any]) -> None:
    with Capturable(), pytest.raises(AssertionError, match=r"waits for the device|picks by a mask"):
        waits()


@pytest.mark.parametrize("makes", [lambda: torch.tensor([1.0, 2.0]), lambda: X.new_tensor([1.0]), lambda: X[[0, 2]]])
def test_constants_of_python_numbers_are_refused(makes: Callable[[], Any]) -> None:
    with Capturable(), pytest.raises(AssertionError, match="copies Python's numbers"):
        makes()


def test_composite_operations_count_as_their_parts_in_inference_mode_too() -> None:
    layer = torch.nn.Linear(3, 3)
    counts: list[int] = []
    for mode in (torch.no_grad, torch.inference_mode):
        with mode(), Capturable() as seen:
            layer(X[None]).to(torch.float32)
        counts.append(seen.launches)
        assert seen.operations["to"] == 0, "nothing is converted"
    assert counts[0] == counts[1]


def test_indices_of_a_known_number_are_not_refused() -> None:
    chosen = torch.tensor([0, 2])
    with Capturable() as seen:
        X[chosen]
    assert seen.operations["index"] == 1
