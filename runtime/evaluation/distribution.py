"""Where a policy's hands go in its successes: one panel of the paper's action distributions, and how it is kept in a file.
Made and written by hand_paths.py, drawn by hand_paths_plot.py.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from drivers.cobot_magic import SIDES
from drivers.sim.rates import DEMONSTRATION_HZ
from drivers.sim.tasks.dual_bottles_pick import NAMES
from runtime.errors import SettingsError
from runtime.evaluation import hulls, table
from runtime.evaluation.rollouts import Episode
from runtime.host import plain_file

_EVERY = 3  # moments of 30 a second; chosen: areas are within 0.2 % of those of all moments (measured)
_DIGITS = 4  # of a place in m: a tenth of a millimetre
FEWEST = 3  # paths of which an area is told; chosen: below it one path is most of the hull
_LARGEST_BYTES = 256 << 20  # of a file; chosen: a panel of 40 paths takes a quarter of a MB
_SIDE_OF = {bottle: side for side, bottle in NAMES.items()}
Plane = tuple[tuple[float, float], ...]  # X and Z in the world, m


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class HandPath(_Kept):
    """The way of both hands' grasp points in one success, DEMONSTRATION_HZ / 3 and its end."""

    scene: int
    left_m: Annotated[Plane, Field(min_length=1)]
    right_m: Annotated[Plane, Field(min_length=1)]

    @classmethod
    def of(cls, episode: Episode) -> Self:
        """Of an episode that was played with a fixed start."""
        hands_m = episode.outcome.hands_m
        assert hands_m is not None
        taken = [*range(0, len(hands_m) - 1, _EVERY), len(hands_m) - 1]
        left, right = (np.round(hands_m[taken, side][:, [0, 2]], _DIGITS).tolist() for side in range(len(SIDES)))
        return cls(scene=episode.seed, left_m=tuple(map(tuple, left)), right_m=tuple(map(tuple, right)))

    def hand_m(self, side: str) -> NDArray[np.float64]:
        """One hand's way (T, 2)."""
        return np.array(self.left_m if side == "left" else self.right_m)


class Fixed(_Kept):
    """The object whose start stayed."""

    name: str
    scene: int  # in which it stands there
    at_m: tuple[float, float, float]
    quaternion: Annotated[tuple[float, ...], Field(min_length=4, max_length=4)]  # (4,) w, x, y, z

    def __str__(self) -> str:
        w, x, y, z = self.quaternion
        axis = (2 * (x * z + w * y), 2 * (y * z - w * x), w * w - x * x - y * y + z * z)  # its own z in the world
        lies = f"lying {np.degrees(np.arctan2(-axis[0], axis[1])):.0f} deg off the Y axis"
        pose = "standing" if axis[2] > 0.5 else lies
        return f"{self.name} begins at x {self.at_m[0]:.3f}, y {self.at_m[1]:.3f} m, {pose} (as in scene {self.scene})"


class Distribution(_Kept):
    """All scenes of one variant and one fixed start, until it had its successes or had no scenes left."""

    variant: str
    fixed: Fixed
    protocol: dict[str, Any]
    made_by: str
    outcomes: Annotated[str, Field(pattern="^[01]+$")]  # of each scene, from the first
    paths: tuple[HandPath, ...]  # of the successes

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.paths) != self.successes:
            raise ValueError("as many paths as successes are needed")
        if self.fixed.name not in _SIDE_OF:
            raise ValueError(f"{self.fixed.name} is no bottle")
        return self

    def __str__(self) -> str:
        return f"{self.variant}, {self.fixed.name} fixed: {self.successes} of {len(self.outcomes)} scenes succeeded"

    @property
    def side(self) -> str:
        """The hand that takes the fixed bottle, whose paths are drawn."""
        return _SIDE_OF[self.fixed.name]

    @property
    def successes(self) -> int:
        """How many scenes were done."""
        return self.outcomes.count("1")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the success rate."""
        return table.wilson(self.successes, len(self.outcomes))

    def hands_m(self, side: str) -> list[NDArray[np.float64]]:
        """All ways of one hand."""
        return [path.hand_m(side) for path in self.paths]

    @cached_property
    def areas(self) -> dict[str, hulls.Area | None]:
        """By hand what its paths take; None of fewer than three."""
        if self.successes < FEWEST:
            return dict.fromkeys(SIDES)
        return {side: hulls.spanned(self.hands_m(side)) for side in SIDES}

    def to_json(self) -> dict[str, Any]:
        """Plain values, the figures beside what they are made of."""
        hands = {side: None if area is None else _plain(area) for side, area in self.areas.items()}
        counted = {"scenes": len(self.outcomes), "successes": self.successes, "interval": self.interval}
        own = self.model_dump(mode="json")
        paths = own.pop("paths")
        return own | counted | {"hands": hands, "path_hz": DEMONSTRATION_HZ / _EVERY, "path_axes": "XZ", "paths": paths}


def _plain(area: hulls.Area) -> dict[str, Any]:
    """An area as it is written."""
    interval = [round(area.low_cm2, 1), round(area.high_cm2, 1)]
    return {"area_cm2": round(area.all_cm2, 1), "interval_cm2": interval, "one_path_cm2": round(area.one_cm2, 1)}


_DISTRIBUTIONS = TypeAdapter(list[Distribution])


def read(path: Path) -> list[Distribution]:
    """What an earlier call wrote; nothing where there is no file. Raises SettingsError for any other file."""
    try:
        return _DISTRIBUTIONS.validate_json(plain_file.read(path, _LARGEST_BYTES, links=True))
    except FileNotFoundError:
        return []
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"])) or "all of it"
        raise SettingsError(f"{path}: not a record of paths ({place} is invalid); give another --out") from None
    except OSError as error:
        raise SettingsError(f"{path}: not a record of paths ({error.strerror}); give another --out") from None


def write(path: Path, distributions: Sequence[Distribution]) -> None:
    """Write them, a line each: their paths are long."""
    path.write_text("[\n" + ",\n".join(json.dumps(one.to_json()) for one in distributions) + "\n]\n")
