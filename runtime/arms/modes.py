"""What operators want of the arms, what is latched, and which mode they are in: three things, none of which changes in place.
Used by commands.py, transitions.py and step.py; snapshots keep all three.

Commands (commands.py) change what is wanted and latched; transitions.py lets the mode follow from both and from what a tick
finds.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from runtime.messaging.messages import Mode

Pose = Literal["", "ready", "rest"]


@dataclass(frozen=True)
class Wanted:
    """What operators, or the profile at the start, asked for and nobody took back.

    Only where a HOLD ends by itself (simulation), and at the start of the program, does `run` wait for anything.
    """

    arm: bool = False
    power: bool = False  # the motors are to be switched on, once
    run: bool = False
    first_run: bool = False  # the run that the program begins by itself is still to come
    takeover: bool = False  # leaders are to lead the arms
    pose: Pose = ""  # the one that the arms are on the way to, in HOLD


@dataclass(frozen=True)
class Latched:
    """What stays until an operator's command ends it."""

    fault: str = ""
    stopped: bool = False  # by an operator: the arms sink, nothing is sent, and clearing it does not arm
    never_armed: bool = False  # a fault came before anybody armed: nothing is sent, and clearing it does not arm
    held: bool = False  # by an operator, or since a page was lost: the arms are armed again before they run
    lost: tuple[str, ...] = ()  # what ended a TAKEOVER, the way to a pose or the run of a page, until the next command


@dataclass(frozen=True)
class Status:
    """The mode, since when, how often the arms had to hold or failed, and why they do not run."""

    mode: Mode = "DISARMED"
    since_ns: int = 0
    holds: int = 0  # for a reason, not by an operator
    faults: int = 0
    forbidden: tuple[str, ...] = ()  # what forbade RUNNING in the last tick
    reasons: tuple[str, ...] = ()  # what the operator reads


@dataclass(frozen=True)
class StateMachine:
    """What is wanted, what is latched and the mode, kept together: all that the transitions know from one tick to the next."""

    wanted: Wanted = field(default_factory=Wanted)
    latched: Latched = field(default_factory=Latched)
    status: Status = field(default_factory=Status)

    @property
    def mode(self) -> Mode:
        """The present mode; it has been that since `status.since_ns`."""
        return self.status.mode

    def want(self, **changes: Any) -> "StateMachine":
        """A copy with other fields of `Wanted`."""
        return replace(self, wanted=replace(self.wanted, **changes))

    def latch(self, **changes: Any) -> "StateMachine":
        """A copy with other fields of `Latched`."""
        return replace(self, latched=replace(self.latched, **changes))

    def be(self, **changes: Any) -> "StateMachine":
        """A copy with other fields of `Status`."""
        return replace(self, status=replace(self.status, **changes))


@dataclass(frozen=True)
class Findings:
    """What a tick finds before the mode follows: reasons as the operator reads them, empty where nothing forbids."""

    forbids_run: tuple[str, ...] = ()
    forbids_takeover: tuple[str, ...] = ()
    armable: bool = True  # both arms give fresh feedback and are well
    motors_on: bool = True  # both arms'
    resumes: bool = False  # a HOLD for a reason ends by itself (simulation)
    unfit: str = ""  # why the checks before the start forbid to arm
    undone: tuple[str, ...] = ()  # commands to the motors that an arm does not show
