"""What the arms process remembers between two ticks, and what one tick is given and gives.
Used by step.py and its parts; by replay, what-if and evaluation, which call the same step.
"""

from dataclasses import dataclass, field

import numpy as np

from drivers.arm import MotorCommand
from runtime.arms import limits, parking
from runtime.arms.following import Following
from runtime.arms.limits import Limits
from runtime.arms.modes import Latched, StateMachine, Status, Wanted
from runtime.arms.trajectory import Motion, Piece, Style, Trajectory
from runtime.config.settings import Settings
from runtime.host.clock import seconds
from runtime.messaging import messages
from runtime.messaging.messages import Message

NONE = -1  # for a number, a time or an age that is not there


@dataclass
class Executing:
    """The chunk that is being executed, by its numbers and the ages that its use depends on; NONE before the first. Times
    ns.
    """

    epoch: int = NONE
    seq: int = NONE
    observation_ns: int = NONE
    conditions_ns: int = NONE
    conditions_limit_ns: int = NONE
    guided: bool = True  # by System 2's conditions; a session of before does not say it


@dataclass
class ArmsState:
    """Everything that `step` remembers; saved in snapshots."""

    commanded: Motion
    commanded_ns: int  # when that was due
    machine: StateMachine = field(default_factory=StateMachine)
    trajectory: Trajectory = field(default_factory=Trajectory)
    executing: Executing = field(default_factory=Executing)
    health: messages.CameraHealth | None = None
    leader: messages.LeaderState | None = None  # where hands lead the leaders
    supervised_ns: int | None = None  # when the supervisor spoke last; None: it never did (evaluation has none)
    lost_processes: tuple[str, ...] = ()
    episode: int = NONE
    instruction: int = NONE
    blend: messages.Blend | None = None  # told with the episode; None: that of the settings
    deadman: messages.Deadman | None = None
    refusal: str = ""
    last_chunk: tuple[int, int] = (NONE, NONE)  # epoch, seq
    dropped: int = 0
    rejected: int = 0
    ticked_ns: int = NONE  # when the last tick began
    ticks: int = 0
    running_ticks: int = 0
    safety_seq: int = 0
    said_ns: int = 0
    way: Motion | None = None  # what was wanted last on the way to a pose
    passed_ready: bool = False  # on the way to rest, which leads over the ready pose
    following: Following = field(default_factory=Following)
    yields_to: limits.Array | None = None  # where blocked arms were when that latched a fault: they are not pushed on
    obeyed: tuple[
        tuple[int, int, str], ...
    ] = ()  # of each sender of commands: epoch, seq of the newest one, and the answer
    answered: tuple[int, int] = (NONE, NONE)  # epoch, seq of the command that was heard last
    answer: str = ""


@dataclass(frozen=True)
class ArmsInputs:
    """What one tick consumes: the feedback and, in order of arrival, everything else."""

    feedback: messages.JointState
    messages: tuple[Message, ...]
    refused: int  # chunks that could not even be decoded
    deadline_ns: int  # when the tick was due; of several that were missed, the first


@dataclass(frozen=True)
class ArmsOutputs:
    """What one tick gives: messages to publish, faults to report (name, text), commands to the motors."""

    target: messages.ArmTarget
    state: messages.SafetyState | None
    faults: tuple[tuple[str, str], ...]
    motor_commands: tuple[MotorCommand, ...]  # what both arms' motors are told, in order
    motion: Motion  # of the target: how it can be stopped from there
    due_ns: int  # of the target


@dataclass(frozen=True)
class ArmsConfig:
    """What `step` needs and never changes: settings, the limits made of them, and the two poses."""

    settings: Settings
    limits: Limits
    style: Style
    dt_s: float
    tick_ns: int
    ready_pose: parking.Pose  # (14,) where work begins
    rest_pose: parking.Pose  # (14,) where the arms' power can be taken
    unfit: str  # why the arms may not be armed

    @classmethod
    def of(cls, settings: Settings, unfit: str = "") -> "ArmsConfig":
        """From the settings tree. `unfit`: why the checks before the start forbid to arm; empty: they do not."""
        trajectory = settings.trajectory
        style = Style(trajectory.blend, trajectory.fade_s, trajectory.smoothing, trajectory.numerics)
        arms, grips_m = settings.arms, (settings.safety.high[-1],)
        ready, rest = (np.array([*pose.left, *grips_m, *pose.right, *grips_m]) for pose in (arms.ready, arms.rest))
        dt_s = 1 / arms.rate_hz
        return cls(settings, Limits.of(settings.safety), style, dt_s, seconds(dt_s), ready, rest, unfit)


SAVED = (ArmsState, Executing, Following, StateMachine, Wanted, Latched, Status, Motion, Trajectory, Piece)
"""The classes that a snapshot of the arms' state may hold (runtime/process/snapshot.py)."""


def start(config: ArmsConfig, feedback: messages.JointState, now_ns: int, restarted: bool = False) -> ArmsState:
    """The state before the first tick: the arms are taken where they are.

    Args:
        config: Its `arms.start` says whether they arm, or run, by themselves.
        feedback: Where they are, q (14,) rad, grippers m.
        now_ns: CLOCK_MONOTONIC.
        restarted: After a crash, when only an operator arms them.

    Returns:
        DISARMED; the first tick's transitions do the rest.
    """
    still = np.zeros(messages.JOINTS)
    arms = config.settings.arms
    by_itself = not restarted and not config.unfit
    arm, run = arms.start != "disarmed" and by_itself, arms.start == "run" and by_itself
    machine = StateMachine(Wanted(arm, power=arm, run=run, first_run=run), status=Status(since_ns=now_ns))
    return ArmsState(Motion(np.array(feedback.q), still, still), now_ns, machine)


def armed(machine: StateMachine) -> bool:
    """Whether the arms are ours to command: targets are sent."""
    return machine.mode != "DISARMED" and not machine.latched.never_armed and not machine.latched.stopped
