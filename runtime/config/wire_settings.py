"""Settings of a policy server (openpi's protocol): what its metadata may leave unsaid, how to get in, how long to wait.
Read by system_settings.py; runtime/policy/server_metadata.py fills in what the server says.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.field import Says
from runtime.config.bounds import Age, Patience, TargetDistance
from runtime.config.section import Section
from runtime.messaging.messages import MOST_TARGETS

Key = Annotated[
    str,
    Says(expects="a key of 1 to 64 letters, digits, _, -, / and ."),
    Field(pattern=r"^$|^[A-Za-z0-9_./-]{1,64}$"),
]
LONGEST_ID = 200  # letters of a checkpoint's name; chosen: the hub's longest with its commit
FROM_VARIABLE = "env:"
"""Before the name of a variable, where the token is in the environment."""


class WireCameras(Section):
    """Under which key of `images` the server wants each camera; empty: it is not sent."""

    head: Key = ""
    """Key of the head camera, such as cam_high."""
    left_wrist: Key = ""
    """Key of the left wrist's camera, such as cam_left_wrist."""
    right_wrist: Key = ""
    """Key of the right wrist's camera, such as cam_right_wrist."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        keys = list(self.by_camera().values())
        if len(set(keys)) != len(keys):
            raise ValueError(f"--policy.wire.cameras: must differ, got {', '.join(keys)}")
        return self

    def by_camera(self) -> dict[str, str]:
        """The key of each camera that is sent, in the order of the robot's cameras."""
        return {name: key for name in type(self).model_fields if (key := getattr(self, name))}


class Wire(Section):
    """What a policy server does not say of itself. What it says needs no flag, and a flag that contradicts it is refused."""

    cameras: WireCameras = WireCameras()
    dt_s: TargetDistance | None = None
    """Time between two targets; default: as the server says."""
    targets: Annotated[int, Field(ge=1, le=MOST_TARGETS)] | None = None
    """Targets in a chunk; default: as the server says, else each reply's own."""
    grippers: Literal["m", "share"] | None = None
    """Grippers in state and targets: m, or share of the opening in --safety.high; default: as the server says."""
    frame: Literal["absolute", "relative"] | None = None
    """Whether targets are joints, or count from the state that was sent; default: as the server says."""
    pictures: Annotated[str, Says(metavar="camera|WxH", expects="camera, or WIDTHxHEIGHT such as 224x224")] | None = (
        Field(default=None, pattern=r"^(camera|[1-9]\d{1,3}x[1-9]\d{1,3})$")
    )
    """Size of the pictures: as the camera sends them, or shrunk into black bars; default: as the server says."""
    checkpoint: Annotated[str, Field(min_length=1, max_length=LONGEST_ID)] | None = None
    """Which checkpoint the server must have; default: the one that it names at the start."""
    prefix: bool | None = None
    """Whether the server takes committed targets as `prefix`; default: as it says."""
    token: Annotated[str, Says(metavar="FILE|env:NAME", expects="a file, or env:NAME of a variable")] = Field(
        default="", max_length=4096
    )
    """Where the server's token is: a file that only its owner can read, or a variable of the environment."""
    certificate: Path | None = None
    """Certificate to trust, such as certificate.pem of certificate.sh; default: the authorities of this machine."""
    reply_s: Age = 1.0
    """Longest wait for a reply; a later one is dropped, and no chunk comes of it."""
    silent_s: Patience = 60.0
    """A server that owes a reply for this long is connected to again; a first reply may take it a minute of compiling."""
