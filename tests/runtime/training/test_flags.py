"""The flags of a training: no number without an upper bound, and every default within its own. Called by pytest."""

from typing import get_args

import pytest
from pydantic import ValidationError

from models import field
from models.train.choices import Augmentation, Cloning, Filming, Prefixes, Schedule
from models.train.video_policy.choices import Acting, Imagining
from runtime.training.settings import Tree, VideoPolicyTree

NUMBERS = [
    setting
    for tree in (Tree, VideoPolicyTree)
    for setting in field.leaves(tree)
    if setting.is_number and setting.path[0] in ("schedule", "cloning", "filming", "acting", "imagining")
]


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: setting.name)
def test_every_number_has_an_upper_bound(setting: field.Field) -> None:
    """A slip is a line, not a training that takes all memory."""
    kinds = get_args(setting.kinds[0]) if setting.of_numbers else (setting.info.annotation,)
    limits = [field.bounds(kind, setting.info.metadata) for kind in kinds]
    assert all(limit.most is not None or limit.below is not None for limit in limits)


@pytest.mark.parametrize("group", [Schedule, Cloning, Filming, Augmentation, Prefixes, Acting, Imagining])
def test_the_defaults_are_within_their_bounds(group: type[Schedule]) -> None:
    made = group(steps=1) if group is Schedule else group.model_validate({})
    assert group.model_validate(made.model_dump()) == made


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [(Augmentation, "shift_px", 65), (Prefixes, "blend_targets", 129), (Prefixes, "delay_steps", 10**9),
     (Cloning, "longest_prefix", 129), (Acting, "longest_prefix", 129), (Imagining, "clips", 10**7),
     (Cloning, "samples", 10**7), (Schedule, "steps", 10**9)],
)  # fmt: skip
def test_what_is_beyond_is_refused(group: type[Schedule], name: str, value: int) -> None:
    with pytest.raises(ValidationError):
        group.model_validate({"steps": 1, name: value} if group is Schedule else {name: value})
