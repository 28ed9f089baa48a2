"""Both families' sizes by their names, and what each asks of a robot. Called by pytest."""

from typing import get_args

import pytest

from models.errors import ModelError
from models.families import CONFIGS, SIZES, SizeName, by_name, name_of, needs_of


def test_sizes_are_chosen_by_name() -> None:
    assert get_args(SizeName) == tuple(SIZES)
    assert [by_name(size).name for size in SIZES] == list(SIZES)
    assert {name_of(by_name(size)) for size in SIZES} == set(CONFIGS)
    with pytest.raises(
        ModelError, match=r"^unknown policy size 'gigantic'; choose one of small, full, full-wan, video-"
    ):
        by_name("gigantic")


@pytest.mark.parametrize("size", list(SIZES))
def test_every_size_says_what_it_needs(size: str) -> None:
    needs = needs_of(by_name(size))
    assert needs.windows and needs.conditions and needs.targets * needs.dt_s > 1
