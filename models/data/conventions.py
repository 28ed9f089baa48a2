"""What one demonstration's numbers and pictures are taken to be, and by what: the file, a flag, or an assumption.

Made by the readers of HDF5 and LeRobot; printed by training and `data check`, and kept with a checkpoint.
Legend: T steps, J = 14 joints.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from models.config.policy import CAMERAS
from models.data.episode import DEMONSTRATION_HZ, GRIPPERS, JOINTS
from models.data.reading import Colours, Reading, Unit, written

Array = NDArray[np.float32]
ASSUMED = "assumed"
"""Where a value is from that nothing says: the layout's usual one."""
ARM = JOINTS // 2  # joints of one arm, its gripper included


@dataclass(frozen=True)
class Said:
    """A value, and what says it: a flag, an attribute, velocities; or that it is ASSUMED."""

    value: Any
    by: str


@dataclass(frozen=True)
class Conventions:
    """Of one demonstration.

    `gripper_scale`: metres per unit. Two numbers: measured, commanded. Four: measured left, right, then commanded left, right.
    """

    rate_hz: Said
    unit: Said
    gripper_scale: Said
    sides: Said
    colours: Said
    cameras: Said
    actions: Said

    @property
    def hz(self) -> float:
        """Steps a second, as stored."""
        return float(self.rate_hz.value)

    @property
    def red_and_blue_swapped(self) -> bool:
        """Whether a decoder gives blue for red."""
        return cast(Colours, self.colours.value) == "bgr"

    def items(self) -> Iterable[tuple[str, Said]]:
        """All of them by name."""
        return ((name, getattr(self, name)) for name in self.__dataclass_fields__)

    def assumed(self) -> tuple[str, ...]:
        """What nothing says, as `rate_hz 30`."""
        return tuple(f"{name} {written(said.value)}" for name, said in self.items() if said.by == ASSUMED)

    def changes(self) -> tuple[str, ...]:
        """What has to be converted; empty where a file is in our own rate, units and colours."""
        usual = {name: value for name, value in _USUAL.items() if name not in ("cameras", "actions")}
        return tuple(
            f"{name} {written(getattr(self, name).value)}" for name in usual if getattr(self, name).value != usual[name]
        )

    def measured(self, values: Array) -> Array:
        """Joints (T, J) as stored, in rad and m, left arm first."""
        return self._converted(values, 0)

    def commanded(self, values: Array) -> Array:
        """The same of commanded joints, whose grippers may have a scale of their own."""
        return self._converted(values, 1)

    def in_place(self, values: Array) -> Array:
        """Efforts (T, J): left arm first, in the unit that they are stored in."""
        return (values if self.sides.value == ("left", "right") else np.roll(values, ARM, axis=1)).astype(np.float32)

    def _converted(self, values: Array, which: int) -> Array:
        """A copy in our units; of velocities too, since a degree a second is one."""
        scale: tuple[float, ...] = self.gripper_scale.value
        factors = np.ones(JOINTS, np.float32)
        if cast(Unit, self.unit.value) == "deg":
            factors[:] = np.pi / 180
        factors[list(GRIPPERS)] = scale[which] if len(scale) == 2 else scale[2 * which : 2 * which + 2]
        return self.in_place(values) * factors


_USUAL: dict[str, Any] = {
    "rate_hz": DEMONSTRATION_HZ, "unit": "rad", "gripper_scale": (1.0, 1.0), "sides": ("left", "right"), "colours": "rgb",
    "cameras": CAMERAS, "actions": "action",
}  # fmt: skip
OURS = Conventions(**{name: Said(value, "video2act") for name, value in _USUAL.items()})
"""Of a demonstration that is in our own rate, units and colours, and says so."""


def given(reading: Reading) -> dict[str, Said]:
    """What flags say, by its name in Conventions."""
    found: dict[str, Said] = {}
    for name in ("rate_hz", "unit", "sides", "colours", "actions"):
        value = getattr(reading, name)
        if value is not None:
            found[name] = Said(value, f"--data.{name}")
    if reading.gripper_scale:
        scale = reading.gripper_scale
        found["gripper_scale"] = Said(scale * 2 if len(scale) == 1 else scale, "--data.gripper_scale")
    return found


def summary(conventions: Iterable[Conventions]) -> list[dict[str, Any]]:
    """What several demonstrations were taken to be: a row a value and what says it, with their number; for a JSON file."""
    counts = Counter((name, written(said.value), said.by) for one in conventions for name, said in one.items())
    return [
        {"what": what, "value": value, "by": by, "demonstrations": count}
        for (what, value, by), count in sorted(counts.items())
    ]


def assumptions(conventions: Iterable[Conventions]) -> str:
    """What nothing says, as `colours rgb, rate_hz 30 (3 of 12)`; empty: everything is said."""
    found = list(conventions)
    counts = Counter(text for one in found for text in one.assumed())
    return ", ".join(
        text if count == len(found) else f"{text} ({count} of {len(found)})" for text, count in sorted(counts.items())
    )
