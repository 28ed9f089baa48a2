"""Every number of every setting and flag has two ends, and a slip beyond them is one line. Called by pytest."""

from typing import get_args

import pytest
from pydantic import BaseModel

from models import field
from models.field import Bounds, Field
from runtime import cli
from runtime.config.loading import load_settings
from runtime.config.settings import Settings
from runtime.errors import SettingsError
from runtime.remote.flags import BoxSettings

MODELS: dict[str, type[BaseModel]] = {
    "settings": Settings,
    "system2's settings": BoxSettings,
    **{name: cli.flags_of(name).flags for name in cli.COMMANDS},
}
NUMBERS = {
    f"{of} {setting.name}": setting
    for of, model in MODELS.items()
    for setting in field.leaves(model)
    if setting.is_number
}


def limits(setting: Field) -> list[Bounds]:
    """The bounds of a number, or of each of several."""
    if not setting.is_several:
        return [field.bounds(setting.info.annotation, setting.info.metadata)]
    return [field.bounds(item, []) for item in get_args(setting.kinds[0]) if item is not Ellipsis]


def test_there_are_many() -> None:
    assert len(NUMBERS) > 90


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_has_two_ends(name: str) -> None:
    for bounds in limits(NUMBERS[name]):
        assert bounds.above is not None or bounds.least is not None, "no lower one"
        assert bounds.below is not None or bounds.most is not None, "no upper one"


@pytest.mark.parametrize(
    ("flag", "slip", "range_"),
    [
        ("--safety.max_feedback_age_s", "50", "a number above 0 and at most 30 (s)"),
        ("--safety.max_condition_age_s", "4000", "a number above 0 and at most 600 (s)"),
        ("--safety.max_deadman_age_s", "300", "a number above 0 and at most 30 (s)"),
        ("--cameras.max_skew_s", "50", "a number above 0 and at most 30 (s)"),
        ("--supervisor.restart_after_s", "10000", "a number above 0 and at most 3600 (s)"),
        ("--seconds", "1e300", "a number above 0 and at most 1000000 (s)"),
        ("--recorder.reserve_gib", "1024", "a number from 0 to 1000 (GiB)"),
        ("--safety.jump_rad", "20", "a number above 0 and at most 10 (rad)"),
        ("--safety.min_arm_distance_m", "10", "a number above 0 and at most 0.5 (m)"),
        (
            "--arms.rest.left",
            "0,1,-1,0,0,90",
            "6 numbers from -6.3 to 6.3, one per joint (j1 to j6), written 1,2,3 (rad)",
        ),
    ],
)
def test_a_slip_is_a_line_with_value_and_range(flag: str, slip: str, range_: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings([flag, slip])
    assert str(caught.value) == f"{flag} {slip}: must be {range_}"
