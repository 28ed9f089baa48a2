"""How demonstrations are read where their files do not say it: the flags `--data.*`. Loads nothing but pydantic.

Made by the command lines that take demonstrations; read by the formats beside it. None, or empty: as the file says, else as its
layout usually is, which is then an assumption (conventions.py).
"""

from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, model_validator

from models.config.part import Part
from models.config.policy import CAMERAS
from models.field import Says

Side = Literal["left", "right"]
Colours = Literal["rgb", "bgr"]
Unit = Literal["rad", "deg"]
Recorder = Literal["cobot_magic", "aloha", "rdt", "robotwin"]
NEXT = "next"
"""In place of a field of actions: what was measured one step later."""
_Scale = Annotated[float, Field(gt=0, le=10)]  # m a unit; chosen: far beyond 0.1, the widest gripper told as a share


SLOWEST_HZ, FASTEST_HZ = 1, 1000  # chosen: no recorder of arms is slower or faster


class Reading(Part):
    """What demonstrations are, where their files do not say it."""

    layout: Recorder | None = None
    """Who wrote HDF5 files of ALOHA's layout: it stands for rate, gripper scale and colours at once."""
    rate_hz: float | None = Field(default=None, ge=SLOWEST_HZ, le=FASTEST_HZ)
    """Steps per second. Other rates than 30 are resampled."""
    unit: Unit | None = None
    """Unit of the arms' joints."""
    gripper_scale: Annotated[tuple[_Scale, ...], Says(expects="1, 2 or 4 numbers above 0 (m), written 0.08")] = ()
    """Metres per unit of the grippers, 0.08 where 1 is open. Two: measured, commanded; four: left and right of each."""
    sides: tuple[Side, Side] | None = None
    """Which arm comes first."""
    colours: Colours | None = None
    """What a plain decoder makes of the pictures: bgr, where red things look blue."""
    cameras: Annotated[tuple[str, ...], Says(metavar="THEIRS=OURS,...")] = ()
    """Names of cameras in the files: front=head,left=left_wrist,right=right_wrist."""
    actions: Annotated[str | None, Says(metavar="FIELD")] = None
    """Field with the commanded joints; next: those measured one step later."""
    instruction: str | None = Field(default=None, min_length=1, max_length=1000)
    """Instruction of demonstrations that have none."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.gripper_scale) not in (0, 1, 2, 4):
            raise ValueError(f"--data.gripper_scale: must be 1, 2 or 4 numbers, got {len(self.gripper_scale)}")
        if self.sides is not None and self.sides[0] == self.sides[1]:
            raise ValueError(f"--data.sides {','.join(self.sides)}: must be left,right or right,left")
        for pair in self.cameras:
            theirs, equals, ours = pair.partition("=")
            if not theirs or not equals or ours not in CAMERAS:
                raise ValueError(f"--data.cameras {pair}: must be THEIRS=OURS with one of {', '.join(CAMERAS)} as OURS")
        if len({pair.partition("=")[2] for pair in self.cameras}) != len(self.cameras):
            raise ValueError(f"--data.cameras {','.join(self.cameras)}: names a camera of ours twice; leave one out")
        if len({pair.partition("=")[0] for pair in self.cameras}) != len(self.cameras):
            raise ValueError(f"--data.cameras {','.join(self.cameras)}: gives one of their cameras to two of ours")
        return self

    def camera(self, ours: str) -> str | None:
        """What the files call one of our cameras; None: not said."""
        named = (pair.partition("=") for pair in self.cameras)
        return next((theirs for theirs, _, mine in named if mine == ours), None)


AS_IT_COMES = Reading()


def written(value: Any) -> str:
    """A value as its flag would take it; what is twice the same is written once."""
    if isinstance(value, tuple):
        several = cast(tuple[Any, ...], value)
        numbers = len(set(several)) == 1 and isinstance(several[0], int | float)
        return written(several[0]) if numbers else ",".join(map(written, several))
    return f"{value:.9g}" if isinstance(value, int | float) else str(value)
