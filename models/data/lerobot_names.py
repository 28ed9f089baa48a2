"""What the `names` of a LeRobot feature say of its joints: which is which, whose arm, in what unit. Called by lerobot.py.

They may be a list of 14, a table of such (by motors, by arms, nested), a table of places by name, or null.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from models.data.episode import JOINTS
from models.data.reading import Side, Unit

_ARM = JOINTS // 2  # joints of one arm, its gripper included
_SIDES: dict[str, Side] = {"left": "left", "l": "left", "right": "right", "r": "right"}
_GRIPPERS = ("gripper", "finger", "claw", "jaw", "hand", "ee")  # as public datasets call them
_UNITS: dict[str, Unit] = {
    "rad": "rad",
    "radian": "rad",
    "radians": "rad",
    "deg": "deg",
    "degree": "deg",
    "degrees": "deg",
}
_DEEPEST = 8  # chosen: no dataset nests its names deeper than two


@dataclass(frozen=True)
class Named:
    """`places`: where each of our joints lies among those stored; None: the names do not tell it. `unit` likewise."""

    places: tuple[int, ...] | None = None
    unit: Unit | None = None


def of_feature(names: object) -> Named:
    """What the names of a feature of 14 joints say; nothing where they are null, or of another form."""
    listed = _flat(names)
    if len(listed) != JOINTS:
        return Named()
    words = [_words(name) for name in listed]
    units: list[Unit] = list({_UNITS[word] for some in words for word in some if word in _UNITS})
    return Named(_places(words), units[0] if len(units) == 1 else None)


def _flat(names: object, above: str = "", depth: int = 0) -> list[str]:
    """All names, with those of the tables that they lie in before them."""
    if depth > _DEEPEST:
        return []
    if isinstance(names, list):
        return [text for one in cast(list[object], names) for text in _flat(one, above, depth + 1)]
    if isinstance(names, dict):
        table = cast(dict[str, Any], names)
        if table and all(isinstance(place, int) for place in table.values()):
            return [f"{above}{name}" for name in sorted(table, key=lambda name: table[name])]
        return [text for name, below in table.items() for text in _flat(below, f"{above}{name}.", depth + 1)]
    return [f"{above}{names}"]


def _words(name: str) -> list[str]:
    """The words of a name in lower case, and its numbers: left_joint_3.pos is left, joint, 3, pos."""
    return re.findall(r"[a-z]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name[:200]).lower())


def _places(words: list[list[str]]) -> tuple[int, ...] | None:
    """Where our joints lie; None unless there are six joints and a gripper of either arm."""
    found: list[int] = []
    for side in ("left", "right"):
        mine = [place for place, some in enumerate(words) if set(_sides(some)) == {side}]
        grippers = [place for place in mine if any(word.startswith(_GRIPPERS) for word in words[place])]
        joints = [place for place in mine if place not in grippers]
        if len(mine) != _ARM or len(grippers) != 1:
            return None
        numbers = [_number(words[place]) for place in joints]
        if None not in numbers and len(set(numbers)) == len(numbers):
            joints = [place for _, place in sorted(zip(cast(list[int], numbers), joints, strict=True))]
        found += [*joints, *grippers]
    return tuple(found)


def _sides(words: list[str]) -> Iterator[Side]:
    return (_SIDES[word] for word in words if word in _SIDES)


def _number(words: list[str]) -> int | None:
    return next((int(word) for word in reversed(words) if word.isdigit()), None)
