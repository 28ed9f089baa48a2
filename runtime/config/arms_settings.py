"""Settings of what moves the arms: how chunks are joined, buses and poses. Read by settings.py, which has the
tree.
"""

from typing import Annotated, Literal

from pydantic import Field

from drivers.cobot_magic import (
    READY_Q_RAD,
    REST_Q_RAD,
)
from models.field import Says
from runtime.config.bounds import Place
from runtime.config.section import Section
from runtime.messaging.messages import Blend

Angles = Annotated[tuple[Place, Place, Place, Place, Place, Place], Says(unit="rad", each="one per joint (j1 to j6)")]


Numerics = Literal["own", "lapack"]


class Trajectory(Section):
    """How chunks become one trajectory (runtime/arms/trajectory.py)."""

    blend: Blend = "fade"
    """How the arms pass from one chunk to the next."""
    fade_s: float = Field(default=0.5, gt=0, le=2)
    """Time over which the offset between two chunks fades out."""
    smoothing: float = Field(default=10.0, ge=0, le=1e6)
    """Weight of third differences by which a chunk's targets are smoothed; 0: no smoothing."""
    numerics: Numerics = "own"
    """own: a replay gives the same bits on every processor; lapack: older sessions were recorded with it."""


class Ready(Section):
    """Where work begins, for both arms."""

    left: Angles = READY_Q_RAD["left"]
    """Joint angles of the left arm."""
    right: Angles = READY_Q_RAD["right"]
    """Joint angles of the right arm."""


class Rest(Section):
    """Where the arms can be without power."""

    left: Angles = REST_Q_RAD
    """Joint angles of the left arm."""
    right: Angles = REST_Q_RAD
    """Joint angles of the right arm."""


Interface = Annotated[str, Field(min_length=1, max_length=15)]  # a name that Linux can give a network interface


class Arms(Section):
    """The loop that feeds the arms."""

    kind: Literal["simulated", "piper"] = "simulated"
    interfaces: tuple[Interface, Interface] = ("can_left", "can_right")
    """CAN interfaces of the left and the right arm."""
    leaders: Literal["unplugged", "own"] = "unplugged"
    """own: leaders on CAN buses of their own (four in all); `takeover` relays them through the safety layer."""
    leader_interfaces: tuple[Interface, Interface] = ("can_left_lead", "can_right_lead")
    """CAN interfaces of the left and the right leader, with --arms.leaders own."""
    usb_places: tuple[str, str] = ("", "")
    """USB ports of the left and the right CAN adapter (3-1.4:1.0), checked by doctor.sh; empty: any port."""
    rate_hz: float = Field(default=200, ge=20, le=1000)
    """Commands to the arms per second."""
    realtime: bool = True
    """Ask for SCHED_FIFO; without permission the loop runs on and reports it."""
    awake: bool = True
    """Keep idle processors awake; costs power."""
    ready: Ready = Ready()
    """Pose in which work begins, clear of the table; `ready` moves there, `rest` passes through it."""
    rest: Rest = Rest()
    """Pose in which the arms need no power: folded onto their stops."""
    start: Literal["disarmed", "hold", "run"] = "disarmed"
    """Mode that the program enters by itself."""
    auto_resume: bool = False
    """Whether a HOLD for stale inputs ends by itself once they are fresh."""
