"""What a setting wants, in words, read off its type. Called by pytest."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, StringConstraints

from models import field
from models.field import Says


class Round(BaseModel):
    kind: Literal["round"] = "round"
    radius_m: float = 1.0


class Square(BaseModel):
    kind: Literal["square"] = "square"
    side_m: float = 1.0


class Model(BaseModel):
    """One setting of each kind."""

    whole: int = 3
    few: int = Field(default=3, ge=1, le=9)
    below: int = Field(default=3, ge=0, lt=2**31)
    speed_rad: float = Field(default=0.1, gt=0)
    share: float = Field(default=0.1, ge=0, lt=1)
    maybe_s: float | None = Field(default=None, le=2.5)
    short: Annotated[str, StringConstraints(min_length=1, max_length=15)] | None = None
    long: str = Field(default="", min_length=2)
    path: Path | None = None
    switch: bool = False
    choice: Literal["a", "b"] | None = None
    pair: tuple[float, float] = (0.0, 0.0)
    limits: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Says(unit="rad/s", each="one a joint")] = ()
    names: tuple[str, str] = ("", "")
    address: Annotated[str, Says(expects="HOST:PORT")] = ""
    shape: Round | Square = Field(default=Round(), discriminator="kind")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("whole", "a whole number"),
        ("few", "a whole number from 1 to 9"),
        ("below", "a whole number from 0 to 2147483647"),
        ("speed_rad", "a number above 0 (rad)"),
        ("share", "a number of at least 0 and below 1"),
        ("maybe_s", "a number at most 2.5 (s)"),
        ("short", "a text of 1 to 15 characters"),
        ("long", "a text of at least 2 characters"),
        ("path", "a path"),
        ("switch", "true or false"),
        ("choice", "one of a, b"),
        ("pair", "2 numbers, written 1,2"),
        ("limits", "numbers above 0, one a joint, written 1,2,3 (rad/s)"),
        ("names", "2 texts, written A,B"),
        ("address", "HOST:PORT"),
        ("shape", "a table of settings"),
        ("shape.kind", "one of round, square"),
        ("shape.side_m", "a number (m)"),
    ],
)
def test_what_is_expected_is_read_off_the_type(name: str, said: str) -> None:
    found = field.find(Model, tuple(name.split(".")))
    assert found is not None and found.name == name and found.expected() == said


def test_a_place_is_found_as_deep_as_there_are_names() -> None:
    """As pydantic tells places: with the number of an item, and the tag of a kind."""
    for place, name in (
        (("pair", 1), "pair"),
        (("shape", "round", "radius_m"), "shape.radius_m"),
        (("shape", "square"), "shape"),
    ):
        found = field.find(Model, place)
        assert found is not None and found.name == name
    assert field.find(Model, ("nothing",)) is None


def test_leaves_are_those_of_every_kind_each_once() -> None:
    names = [leaf.name for leaf in field.leaves(Model)]
    assert {"shape.kind", "shape.radius_m", "shape.side_m"} < set(names) and "shape" not in names
    assert len(names) == len(set(names))
