"""Every message that passes between processes, defined once; codec.py makes bytes of them. Used by every process.

They stand in five groups: pictures, policy, arms, operators, processes. Each opens with a comment line that says what it is.
Units and meaning stand beside each field. What changes here gets a new schema number and a row in upgrades.py, by which
recorded messages of former schemas stay readable.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from runtime.messaging.array_field import Array, ArraySet, Tensor

MOST_TARGETS = 128  # in a chunk; chosen: twice the paper's 64 (4.2.2), which fits one frame of the chunk topic
SHORTEST_DT_NS, LONGEST_DT_NS = 1_000_000, 1_000_000_000
"""Between two of them. Chosen: from the highest rate of commands (`arms.rate_hz`, 1000) to one a second."""
JOINTS = 14  # [left j1..j6, left gripper, right j1..j6, right gripper]; rad, gripper opening m

Mode = Literal["DISARMED", "HOLD", "RUNNING", "TAKEOVER", "FAULT"]
CommandName = Literal["arm", "run", "takeover", "hold", "stop", "ready", "rest", "release", "clear"]
Blend = Literal["prefix", "fade", "ensemble", "none"]
Result = Literal["success", "failure", "ended"]
Take = Literal["ready", "recording", "stopped", "kept", "discarded"]
InputRef = tuple[str, int, int]  # topic, epoch, seq (for frames: topic, 0, frame number)


Joints = Annotated[NDArray[np.float64], Tensor("float64", (JOINTS,))]
Targets = Annotated[NDArray[np.float32], Tensor("float32", ((1, MOST_TARGETS), JOINTS))]
_DTYPES = ("bfloat16", "float32", "float16", "float64", "int64", "int32", "uint8")
Arrays = Annotated[Mapping[str, Array], ArraySet(_DTYPES, (0, 4), most=16, most_bytes=1 << 22)]
Maps = Annotated[Mapping[str, Array], ArraySet(("uint8",), (2, 2), most=8, most_bytes=1 << 18)]
Rectangle = tuple[float, float, float, float]  # left, top, width, height, as shares of a picture


class Strict(BaseModel):
    """A message, or a part of one: frozen, and nothing but what is declared, of exactly its type and finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Message(Strict):
    """What every message carries. `seq` counts within one `epoch`, which is new at each start of the publisher."""

    tensors: ClassVar[dict[str, Tensor | ArraySet]]
    """Fields that hold arrays, and which dtype and shape theirs must have."""
    nested: ClassVar[frozenset[str]]
    """Fields that hold other models, which are encoded as maps."""

    seq: int = Field(ge=0)
    epoch: int = Field(ge=0)
    stamp_ns: int = Field(ge=0)  # the time that its step was given

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        cls.tensors = {
            name: next(m for m in field.metadata if isinstance(m, Tensor | ArraySet))
            for name, field in cls.model_fields.items()
            if any(isinstance(m, Tensor | ArraySet) for m in field.metadata)
        }
        cls.nested = frozenset(name for name, field in cls.model_fields.items() if _holds_models(field.annotation))


def _holds_models(annotation: Any) -> bool:
    inside = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return inside or any(map(_holds_models, get_args(annotation)))


class Episodic(Message):
    """A message that belongs to one episode; those of an earlier one are dropped."""

    episode: int = Field(ge=0)
    inputs: tuple[InputRef, ...] = ()  # everything its step consumed, in order


# Pictures, and the scene that they show: cameras and simulator to whoever sees.


class Frame(Message):
    """A new picture lies in the ring. seq is its number there."""

    camera: str
    capture_ns: int  # exposure
    returned_ns: int  # the driver handed over the pixels
    device_number: int
    exact: bool  # decoding the logged JPEG gives back what the models saw


class CameraState(Strict):
    """How one camera is, as the cameras process judges it; part of CameraHealth."""

    camera: str
    number: int
    capture_ns: int
    rate_hz: float
    verdict: str  # empty: well


class CameraHealth(Message):
    """All cameras' verdicts, at 30 Hz and at every change."""

    cameras: tuple[CameraState, ...]


class Scene(Message):
    """The simulated scene, for the session and the console (sim profile only)."""

    qpos: Annotated[NDArray[np.float64], Tensor("float64", (None,))]
    episode: int
    simulated_ns: int  # how much time the physics has simulated; on a machine that keeps up it grows as stamp_ns does
    lag_ns: int  # how far the physics was behind the clock, at worst since the last message
    success: bool  # whether the task was done at some moment of this episode


# The policy: instruction to System 2, conditions to System 1, chunks to the arms.


class Instruction(Message):
    """What the robot is to do, in words; a state, repeated at 5 Hz."""

    number: int
    text: str = Field(max_length=1000)


class Embedding(Message):
    """The instruction has been encoded and lies in the cache; a state."""

    instruction: int
    key: str  # file stem in the cache: a hash of the text and the encoders


class Timing(Strict):
    """What was measured while a step ran. Not part of what a replay compares."""

    finished_ns: int = 0
    prepare_ns: int = 0  # fetching and resizing pictures
    forward_ns: int = 0  # the networks


class Window(Strict):
    """The frames of one camera that a condition was made of."""

    name: str
    camera: str
    frames: tuple[int, ...]  # their numbers, oldest first


class Conditions(Episodic):
    """What System 2 understood: published once per n runs of System 1 (paper 3.3)."""

    arrays: Arrays  # what System 1 is given, by the names that both systems of a policy know
    windows: tuple[Window, ...]
    capture_ns: int  # of the newest frame
    widest_gap_ns: int  # the largest step between neighbours of the longest window
    instruction: int
    checkpoint_id: str
    trigger_run: int  # System 1's run number that triggered it
    trigger: Literal["ratio", "epoch", "episode", "instruction", "age", "free"]
    late_runs: int  # runs of System 1 by which the trigger came late: System 2 is saturated
    # (h, w), for people: where in the head picture it comes from, 255 the strongest
    maps: Maps = Field(default_factory=dict)
    # What part of that picture a map is of; all of it where a map is not named here.
    covers: Mapping[str, Rectangle] = Field(default_factory=dict)
    timing: Timing = Timing()


NEVER_COMPARED = -1.0
"""An error of what was imagined, where nothing could be compared."""
_Jpeg = Annotated[bytes, Field(min_length=1, max_length=1 << 16)]  # of a small picture; chosen: some 2 KB are usual


class Imagined(Episodic):
    """What System 2 expects to see after its conditions of the same number, for people."""

    instruction: int
    camera: str
    capture_ns: int  # of the picture that they follow
    apart_ns: int = Field(ge=0)  # between two of them, and from that picture to the first
    seen: _Jpeg  # that picture, as small as the others
    pictures: tuple[_Jpeg, ...] = Field(min_length=1, max_length=64)
    # Mean distance of `seen` from what was imagined before for its time, and from what was seen then; black to white is 1.
    error: float = Field(ge=NEVER_COMPARED, le=1)
    still_error: float = Field(ge=NEVER_COMPARED, le=1)


class ActionChunk(Episodic):
    """Joint targets at its own dt. t0_ns is the time of the first one: observation time + dt."""

    q: Targets
    t0_ns: int
    dt_ns: int = Field(ge=SHORTEST_DT_NS, le=LONGEST_DT_NS)
    run: int  # counts System 1's runs in this epoch
    observation_ns: int  # capture time of the frame set
    conditions_epoch: int
    conditions_seq: int
    conditions_capture_ns: int  # of the newest frame the conditions saw
    conditions_limit_ns: int  # age above which they may not be used
    previous_seq: int  # the chunk that was being executed when this run started, -1 for none
    consumed: int  # how many of its targets had been executed then
    committed: int  # leading targets that continue the previous chunk unchanged (prefix)
    noise_seed: int
    instruction: int
    checkpoint_id: str
    frame_returned_ns: int  # the driver's return of the newest picture of the set
    saturated: bool
    timing: Timing = Timing()


class Skip(Episodic):
    """A System-1 step that made no chunk, and why."""

    reason: str


# The arms: what was measured and sent, and the safety layer's state.


NEVER = 0
"""When an arm was measured that was not heard yet."""


class JointState(Episodic):
    """Both arms' feedback as read at the start of a tick."""

    q: Joints
    dq: Joints
    effort: Joints
    number: tuple[int, int]  # the devices' reading numbers, left and right; -1 before the first
    measured_ns: tuple[int, int]  # NEVER for an arm that was not heard yet
    powered: tuple[bool, bool] = (True, True)  # the motors are on and follow us
    warning: tuple[str, str] = ("", "")  # why an arm should not move now
    fault: tuple[str, str] = ("", "")  # why it must not move before a person has looked at it
    chunk_epoch: int  # the chunk being executed, -1 for none
    chunk_seq: int
    consumed: int  # its targets whose time has passed
    running: bool

    @property
    def heard(self) -> bool:
        """Whether both arms were heard at least once."""
        return NEVER not in self.measured_ns


class ArmTarget(Episodic):
    """One tick of `arms`: what was wanted, what was sent, and everything that was consumed."""

    deadline_ns: int  # when the tick was due; stamp_ns is when it began
    mode: Mode
    blended: Joints  # the trajectory, before the safety layer
    q: Joints  # what was sent (DISARMED: what was measured, and nothing was sent)
    sent: bool
    limited: bool
    seam_jump_rad_s: float  # largest velocity step of the blended trajectory where a chunk was spliced in, -1: no seam
    refused: int  # undecodable or non-finite chunks among this tick's input
    arrivals: tuple[tuple[int, int], ...] = ()  # (chunk seq, arrival time) as measured


class LeaderState(Message):
    """Where a teacher's hands lead both leader arms."""

    q: Joints
    measured_ns: tuple[int, int]
    exceeds: tuple[str, ...]  # the limits that the hands do not keep


class SafetyState(Episodic):
    """The safety layer's state, repeated at 5 Hz and at every change."""

    mode: Mode
    reasons: tuple[str, ...]  # why it does not run
    since_ns: int
    chunk_age_ns: int  # since the observation of the chunk being executed; -1: none
    condition_age_ns: int
    feedback_age_ns: int
    holds: int
    faults: int
    chunks_dropped: int
    chunks_rejected: int
    ticks: int
    running_ticks: int
    answered: tuple[int, int] = (-1, -1)  # epoch and seq of the newest operator command
    answer: str = ""  # why it was refused; empty: it was obeyed


# Operators: what they want, and the episodes that they run and judge.


class OperatorCommand(Message):
    """What an operator wants; applied by `arms`, in order."""

    command: CommandName
    source: str
    confirmed: bool = False  # somebody stands beside the robot: stop, release, and to clear a stop


class Steering(Message):
    """What an operator wants of the supervisor; what is None stays as it is."""

    source: str = Field(max_length=200)
    instruction: str | None = Field(default=None, min_length=1, max_length=1000)
    ratio: int | None = Field(default=None, ge=1, le=1000)
    blend: Blend | None = None
    result: Result | None = None  # of the episode that is being run
    note: str = Field(default="", max_length=1000)  # on the result
    next_episode: bool = False  # after it


class Deadman(Message):
    """Whether the page of the operator who drives lives; repeated at 20 Hz while he wants the arms to hold without it."""

    wanted: bool
    beat_ns: int  # when the page was heard last
    holder: str = Field(max_length=200)


class Episode(Message):
    """The episode that is being run, and what an operator may tune meanwhile; a state."""

    number: int
    task: str
    seed: int
    started_ns: int
    ratio: int = Field(default=0, ge=0, le=1000)  # System-1 runs for each run of System 2; 0: that of the settings
    blend: Blend | None = None  # None: that of the settings
    period_ns: int = Field(default=0, ge=0)  # from one run of System 1 to the next; 0: that of the settings


class Outcome(Message):
    """How an operator judged an episode; the last word counts."""

    number: int
    result: Result
    note: str = Field(default="", max_length=1000)
    source: str


class Demonstration(Message):
    """What is being recorded; a state. Its number is that of its episode."""

    number: int
    state: Take
    began_ns: int  # 0: not yet
    ended_ns: int


# Processes: whether they live, what went wrong, what is recorded.


class Heartbeat(Message):
    """A process is alive (sent by its own thread) and has come this far (steps, counted by its loop)."""

    process: str
    pid: int
    steps: int
    last_step_ns: int
    sent: int = 0  # messages, all in this life, other than these
    lost: int = 0  # messages to it that it never saw, in this life: its queues were full, or they could not be read


class Fault(Message):
    """Something went wrong that an operator must see."""

    process: str
    name: str
    text: str = Field(max_length=2000)


class ProcessState(Strict):
    """One row of the supervisor's table."""

    process: str
    state: Literal["starting", "alive", "stopped", "hung", "exited", "off"]
    restarts: int
    sent_hz: float = 0.0  # messages, over the last seconds
    lost: int = 0  # messages to it that it never saw, in this run
    faults: int = 0  # that it reported, or that it was itself, in this run


class Supervision(Message):
    """All processes' states, at 5 Hz. Sessions recorded before messages and faults were counted hold 0."""

    processes: tuple[ProcessState, ...]


class Recording(Message):
    """What the recorder has on disk, at 5 Hz."""

    session: str
    size_bytes: int
    lost: int  # control messages that never reached it, seen by gaps in seq
    fault: str  # empty: well; a full disk, for example


class Snapshot(Message):
    """The whole step state of a process after its output `after_seq`, so that a replay can start there."""

    process: str
    after_seq: int
    state: bytes


COMMANDS: tuple[CommandName, ...] = get_args(CommandName)
MESSAGES: dict[str, type[Message]] = {
    cls.__name__: cls
    for cls in (
        Frame, Conditions, Imagined, ActionChunk, Skip, JointState, ArmTarget, LeaderState, SafetyState, CameraHealth,
        OperatorCommand, Instruction, Embedding, Episode, Steering, Outcome, Deadman, Demonstration, Heartbeat, Fault,
        Supervision, Recording, Scene, Snapshot,
    )
}  # fmt: skip
MODES: tuple[str, ...] = get_args(Mode)
