"""Checks of weights as they are read: what is not finite, and checksums that one changed bit changes.
Called by pytest."""

from pathlib import Path

import pytest
import torch

from models.errors import ModelError
from models.weight_check import check_finite, checksum


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("place", [0, 7, 4095])
def test_one_value_that_is_not_finite_is_refused(dtype: torch.dtype, value: float, place: int) -> None:
    tensor = torch.randn(4096).to(dtype)
    check_finite(Path("file"), "weight", tensor, "fix it")
    tensor[place] = value
    with pytest.raises(ModelError, match=r"^file: weight: 1 of 4096 values are not finite; fix it$"):
        check_finite(Path("file"), "weight", tensor, "fix it")


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor([-3e38, 3e38]),  # their difference is not finite
        torch.zeros(0),
        torch.tensor(1.0),
        torch.tensor([2**40]),
        torch.zeros(4).to(torch.float8_e4m3fn),
    ],
)
def test_what_is_finite_or_cannot_be_otherwise_passes(tensor: torch.Tensor) -> None:
    check_finite(Path("file"), "weight", tensor, "fix it")


@pytest.mark.parametrize("count", [1, 3, 4, 1000, (1 << 18) + 5])
def test_every_bit_counts(count: int) -> None:
    tensor = torch.randn(count).to(torch.bfloat16)
    before = checksum(tensor)
    assert checksum(tensor.clone()) == before
    bits = tensor.view(torch.int16)
    for place in {0, count // 2, count - 1}:
        for bit in range(15):
            bits[place] ^= 1 << bit
            assert checksum(tensor) != before
            bits[place] ^= 1 << bit
    assert checksum(tensor) == before


def test_type_shape_and_the_order_of_blocks_count() -> None:
    tensor = torch.randn(1 << 19)
    same = [tensor, tensor.view(2, -1), tensor.view(torch.int32), tensor.view(2, -1).flip(0).reshape(-1)]
    assert len({checksum(one) for one in same}) == 4


@pytest.mark.parametrize("tensor", [torch.tensor(2.5), torch.zeros(0, 3), torch.tensor([True, False])])
def test_tensors_of_every_kind_have_one(tensor: torch.Tensor) -> None:
    assert len(checksum(tensor)) == 16
