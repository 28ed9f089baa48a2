"""Flags over a group of checked values. Called by pytest."""

import pytest

from models import sizes
from models.config import Siglip
from models.train.action import Cloning
from runtime.config import overrides
from runtime.errors import SettingsError


def test_values_are_taken_as_numbers_lists_or_words() -> None:
    found = overrides.parse(["--a.b.c", "1", "--a.b.d=[1, 2]", "--e.f", "word"], ("a", "e"))
    assert found == {"a": {"b": {"c": 1, "d": [1, 2]}}, "e": {"f": "word"}}


def test_a_part_of_another_kind_takes_no_values_of_the_one_before() -> None:
    image = {"kind": "siglip", "image_px": 64, "width": 8, "depth": 1, "heads": 1, "patch_px": 8, "feed_forward": 8}
    changed = overrides.over(sizes.by_name("small"), {"image": image, "head": {"guess_width": 0}}, "policy")
    assert changed.image == Siglip.model_validate(image)


def test_only_what_is_named_changes() -> None:
    assert overrides.over(Cloning(), {"samples": 9}, "cloning") == Cloning(samples=9)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--b.c", "1"], "unknown --b.c"),
        (["--a", "1"], "unknown --a"),
        (["--a.samples"], "--a.samples needs a value"),
        (["--a.samples", "-1"], "--a.samples: .*greater than 0.*-1"),
        (["--a.surprise", "1"], "--a.surprise: Extra inputs"),
        (["--a.loss", "l3"], "--a.loss"),
        (["--a.loss", "l1", "--a.loss.more", "1"], "--a.loss.more: the whole of loss is given already"),
    ],
)
def test_a_wrong_one_is_named_in_one_line(flags: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as error:
        overrides.over(Cloning(), overrides.parse(flags, ("a",))["a"], "a")
    assert "\n" not in str(error.value)
