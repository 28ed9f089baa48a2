"""Bounds of a policy's numbers: none that would end in a failure later, or change in silence what a policy does, is taken.
Called by pytest; every leaf of the three sizes' configurations is changed in turn."""

import copy
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pytest
from pydantic import ValidationError

from models.config.policy import PolicyConfig
from models.sizes import by_name

Place = tuple[str | int, ...]
SIZES = ("small", "full", "full-wan")


def leaves(values: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every single value in a tree of groups and lists."""
    if isinstance(values, dict | list | tuple):
        inner: Any = values.items() if isinstance(values, dict) else enumerate(values)
        for name, value in inner:
            yield from leaves(value, (*place, name))
    else:
        yield place, values


@lru_cache
def plain(name: str) -> Any:
    """A size's configuration as lists, tables and numbers that can be changed."""
    values = by_name(name).model_dump(mode="json")
    values["published"] = {}
    return values | {"text": values["text"] | {"kind": "byt5"}}


def changed(name: str, place: Place, value: Any) -> Any:
    values = copy.deepcopy(plain(name))
    inner = values
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    return values


NUMBERS = [
    (size, place)
    for size in SIZES
    for place, value in leaves(plain(size))
    if isinstance(value, int | float) and not isinstance(value, bool)
]


def test_the_sizes_themselves_pass() -> None:
    assert len(NUMBERS) > 150
    for size in SIZES:
        PolicyConfig.model_validate(plain(size))


UNFIT = (-(10**30), 10**30, -1e300, 1e300, True, False, float("nan"), 10**400)


@pytest.mark.parametrize(("size", "place"), NUMBERS, ids=lambda of: str(of).replace(" ", ""))
def test_no_number_is_taken_that_is_far_off_or_a_flag(size: str, place: Place) -> None:
    name = next(str(part) for part in reversed(place) if isinstance(part, str))
    for value in UNFIT:
        with pytest.raises(ValidationError) as caught:
            PolicyConfig.model_validate(changed(size, place, value))
        first = caught.value.errors(include_url=False)[0]
        assert name in f"{first['loc']} {first['msg']}"


@pytest.mark.parametrize(
    ("size", "place", "value", "said"),
    [
        ("small", "head.steps", 0, "greater than or equal to 1"),
        ("small", "head.steps", 1001, "steps: must be at most train_steps 1000, got 1001"),
        ("small", "head.train_steps", 0, "greater than or equal to 1"),
        ("small", "head.guess_blend", 65, "head.guess_blend: must be at most the horizon 64, got 65"),
        ("small", "head.heads", 3, "heads: must divide width 128, got 3"),
        ("small", "head.heads", -2, "greater than or equal to 1"),
        ("small", "spatial_former.heads", 0, "greater than or equal to 1"),
        ("small", "motion_former.heads", 5, "heads: must divide width 128, got 5"),
        ("small", "text.heads", 65, "heads: must be at most width 64, got 65"),
        ("small", "control_hz", 0, "greater than 0"),
        ("small", "cameras", ["head", "head", "head"], "cameras: must be different, got head, head, head"),
        ("small", "cameras", ["head\nx", "a", "b"], r"cameras: must be names of letters, digits, _ . -, got \('head"),
        ("small", "cameras", [], "at least 1 item"),
        ("small", "joint_layout", "a\nb", "match pattern"),
        ("small", "filters.low_bin", 9, "filters.low_bin: bins must be 0 to 8 for 16 latent frames, got 9 to 8"),
        ("small", "filters.high_bin", 9, "filters.high_bin: bins must be 0 to 8 for 16 latent frames, got 1 to 9"),
        ("full-wan", "filters.high_bin", 9, "filters.high_bin: bins must be 0 to 8 for 16 latent frames, got 1 to 9"),
        ("small", "video.low.height_px", 8, "low: must be at least 16 px high and wide, got 8 and 64"),
        ("full-wan", "video.high.width_px", 16, "high: must be at least 32 px high and wide, got 480 and 16"),
        ("small", "video.backbone.vae_channels", [], "vae_channels: expected 4 values, got 0"),
        ("small", "video.backbone.vae_channels", [4, 4], "vae_channels: expected 4 values, got 2"),
        ("small", "video.backbone.vae_groups", 3, "vae_groups: must divide vae_channels 8, got 3"),
        ("small", "video.backbone.rope_axes", [7, 21, 20], "rope_axes: must be even and together head_dim 48"),
        ("small", "video.backbone.rope_axes", [8, 20, 22], "rope_axes: must be even and together head_dim 48"),
        ("small", "video.backbone.latent_scaling", 0, "greater than 0"),
        ("full-wan", "video.backbone.head_dim", 9, "head_dim: must be even and at least 6, got 9"),
        ("full-wan", "video.backbone.latent_spread", [0.0] * 48, "latent_spread: each must be 1e-06 to 1e"),
        ("full", "image.patch_px", 385, "patch_px: must be at most image_px 384, got 385"),
        ("small", "spatial_former.scaled", "perhaps", "valid boolean"),
    ],
)  # fmt: skip
def test_numbers_that_do_not_go_together_are_named(size: str, place: str, value: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        PolicyConfig.model_validate(changed(size, tuple(place.split(".")), value))
