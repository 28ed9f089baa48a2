"""Values over a group of checked values. Called by pytest."""

from typing import Any

import pytest

from models import sizes
from models.config.encoders import Siglip
from models.train.choices import Cloning
from runtime.config import overrides
from runtime.errors import SettingsError


def test_a_part_of_another_kind_takes_no_values_of_the_one_before() -> None:
    image = {"kind": "siglip", "image_px": 64, "width": 8, "depth": 1, "heads": 1, "patch_px": 8, "feed_forward": 8}
    changed = overrides.over(sizes.by_name("small"), {"image": image, "head": {"guess_width": 0}}, "policy")
    assert changed.image == Siglip.model_validate(image)


def test_only_what_is_named_changes() -> None:
    assert overrides.over(Cloning(), {"samples": "9"}, "cloning") == Cloning(samples=9)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"samples": "-1"}, "--a.samples -1: must be a whole number above 0"),
        ({"surprise": 1}, "--a.surprise: unknown setting"),
        ({"loss": "l3"}, "--a.loss l3: must be one of l1, l2"),
        ({"lag_s": [3, 1]}, "--a: lag_s: must be two times"),
    ],
)
def test_a_wrong_one_is_named_in_one_line(values: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as error:
        overrides.over(Cloning(), values, "a")
    assert str(error.value).startswith(said)


def test_an_unknown_kind_lists_those_there_are() -> None:
    with pytest.raises(SettingsError) as error:
        overrides.over(sizes.by_name("small"), {"image": {"kind": "eyes"}}, "policy")
    assert str(error.value) == "--policy.image.kind eyes: must be one of siglip, keypoints"
