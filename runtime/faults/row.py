"""What a row of the fault matrix is: the robot it is put into, what is done to that, what must be seen of it, and how soon.
The rows themselves are in *_rows.py; inject.py carries them out, judge.py compares them with their figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from runtime.faults.live_robot import LiveRobot

Reaction = Literal["hold", "none", "bus", "end"]
"""What the arms must do: hold, as `arms` says; stay in their mode; brake, as the emulated arms see it, where no `arms` can say
so; or hold while the whole run ends."""


class Injection(Protocol):
    """A fault that can be put into a run and taken out of it again."""

    def prepare(self, robot: LiveRobot) -> None:
        """Whatever takes time and is no fault yet."""
        ...

    def begin(self, robot: LiveRobot) -> str:
        """The fault itself. Returns what somebody outside of the robot says to it at once; empty: nothing."""
        ...

    def end(self, robot: LiveRobot) -> Mapping[str, float]:
        """Take the fault back. Returns what was measured meanwhile, by the names of `Row.most`."""
        ...


@dataclass(frozen=True)
class Row:
    """One fault."""

    name: str
    fault: Injection
    says: str
    """What an operator must be told, a part of it; empty: there is nothing to tell."""
    seen_ms: float = 200.0
    """Figure: from the fault until it is told."""
    because: str = ""
    """A part of the reason to hold, where that is another text than `says`."""
    reaction: Reaction = "hold"
    held_ms: float = 150.0
    """Figure: from the fault until the arms brake, or a run has ended."""
    lasts_s: float = 0.0
    """How long the fault stays after that; with no reaction wanted, how long it is looked at."""
    back_s: float = 20.0
    """Figure: from the end of the fault to RUNNING, with the commands that an operator gives."""
    running: bool = True
    """Whether the arms run when the fault comes, and shall move then."""
    kept: tuple[str, ...] = ()
    """Processes that may not be started again."""
    most: Mapping[str, float] = field(default_factory=dict[str, float])
    """Further figures by name, of what the injection measures itself, and `late ms`: of a tick of the arms."""
    once: bool = False
    """Whether it can be put into a run only once, whatever else the arms held for meanwhile."""
    cuts_session: bool = False
    """Whether a session may lack its newest messages: who writes it is killed."""


@dataclass(frozen=True)
class Robot:
    """A simulated robot that serves some rows, one after the other."""

    name: str
    flags: tuple[str, ...]
    rows: tuple[Row, ...]
    emulated: bool = True
    """Whether its arms are emulated, so that what they hear is known."""
    box: bool = False
    """Whether System 2 runs on a GPU box, behind a link that can be cut."""
    disk_mb: int = 0
    """Size of a disk of its own for its session; 0: none."""
    slack_ms: float = 0.0
    """Added to the figures for what is told and when arms hold: its limits are wider than a real robot's."""


@dataclass
class Sample:
    """What came of one injection. Times in CLOCK_MONOTONIC ns, durations in ms; None: it did not come."""

    began_ns: int
    ended_ns: int = 0
    seen_ms: float | None = None
    held_ms: float | None = None
    because_ms: float | None = None  # until the reason to hold names the fault
    back_ms: float | None = None
    said: str = ""
    held_said: str = ""  # the reasons with which the arms left their mode
    moving_rad_s: float = 0.0  # fastest joint at the beginning
    lost: int = 0  # messages, by all processes' counters
    restarted: tuple[str, ...] = ()
    measured: dict[str, float] = field(default_factory=dict[str, float])
    shares: dict[str, float] = field(default_factory=dict[str, float])
    """Of each limit, as the motor sees it; 1 is the limit."""
    others: int = 0  # holds for another reason, after which the injection was repeated
    wrong: str = ""  # what stopped the injection itself
