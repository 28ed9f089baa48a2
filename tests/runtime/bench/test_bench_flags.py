"""Flags of `bench` that go with one kind of it: what help says is what is asked for. Called by pytest."""

import re

import pytest

from runtime.bench import flags
from runtime.bench.flags import BenchFlags


def kinds(name: str) -> set[str]:
    """The kinds that a flag's help names, without their dashes."""
    said = re.match(r"With (.*?): ", BenchFlags.model_fields[name].description or "")
    return set(re.findall(r"--(\w+)", said[1])) if said else set()


@pytest.mark.parametrize("name", sorted(BenchFlags.model_fields))
def test_a_flag_needs_the_kinds_that_its_help_names(name: str) -> None:
    assert kinds(name) == set(flags._WITH.get(name, ()))  # pyright: ignore[reportPrivateUsage]


def test_it_is_taken_with_each_of_them() -> None:
    for kind in ("console", "links", "budget"):
        assert BenchFlags.model_validate({kind: True, "seconds": 5.0}).seconds == 5.0
