"""What the names of a LeRobot feature say of its joints, in each form that public datasets have. Called by pytest."""

from typing import Any

import pytest

from models.data.lerobot_names import of_feature

ARM = [*(f"joint_{number}" for number in range(1, 7)), "gripper"]
OURS = [f"{side}_{name}" for side in ("left", "right") for name in ARM]
STRAIGHT, TURNED = tuple(range(14)), (*range(7, 14), *range(7))
ALOHA = [
    f"{side}_{name}"
    for side in ("left", "right")
    for name in ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper")
]


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (OURS, STRAIGHT),
        ({"motors": OURS}, STRAIGHT),
        (ALOHA, STRAIGHT),
        ([*OURS[7:], *OURS[:7]], TURNED),
        ({"right": ARM, "left": ARM}, TURNED),
        ({"right_arm": ARM[:6], "right_gripper": ["open"], "left_arm": ARM[:6], "left_gripper": ["open"]}, TURNED),
        ({name: place for place, name in reversed(list(enumerate(OURS)))}, STRAIGHT),
        ([[f"l_{name}" for name in ARM], [f"r_{name}" for name in ARM]], STRAIGHT),
        ([f"{name}.pos" for name in OURS], STRAIGHT),
        (["leftGripper", *(f"leftJoint{n}" for n in range(6)), *OURS[7:]], (*range(1, 7), 0, *range(7, 14))),
        ([*OURS[:6], *OURS[7:13], OURS[6], OURS[13]], (*range(6), 12, *range(6, 12), 13)),
        ([*reversed(OURS[:6]), OURS[6], *OURS[7:]], (*range(5, -1, -1), *range(6, 14))),
    ],
)
def test_names_place_the_joints(names: Any, places: tuple[int, ...]) -> None:
    assert of_feature(names).places == places


@pytest.mark.parametrize(
    "names",
    [
        None,
        [],
        3,
        [f"motor_{number}" for number in range(14)],
        OURS[:13],
        [*OURS[:7], *OURS[:7]],
        ["left_joint"] * 14,
        {"motors": None},
        [["x"] * 14] * 14,
        {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": OURS}}}}}}}}},
    ],
)
def test_what_does_not_place_them_says_nothing(names: Any) -> None:
    assert of_feature(names).places is None


@pytest.mark.parametrize(
    ("names", "unit"),
    [
        (OURS, None),
        ([f"{name}_rad" for name in OURS], "rad"),
        ([name if "gripper" in name else f"{name} (deg)" for name in OURS], "deg"),
        ([f"{name}_{'deg' if place else 'rad'}" for place, name in enumerate(OURS)], None),
    ],
)
def test_names_may_tell_the_unit(names: Any, unit: str | None) -> None:
    assert of_feature(names).unit == unit
