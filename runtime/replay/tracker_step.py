"""One chunk along a recorded movement: eased in from where the arms stand, at its own pace if it can, eased out. Deterministic.
Called by tracker.py in System 1's place, and by the replay.

After a HOLD it resumes from where the arms had come to. Legend: K targets, T recorded steps, J joints; rad, grippers m.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivers.cobot_magic import WITHOUT_GRIPPERS
from models.data.episode import DEMONSTRATION_HZ
from runtime.arms import parking
from runtime.arms.limits import Limits
from runtime.config.settings import Settings
from runtime.errors import RuntimeFault
from runtime.host import plain_file
from runtime.host.clock import NS_PER_S, robot_time_ns, seconds
from runtime.messaging import messages
from runtime.messaging.topics import references
from runtime.systems import outputs

Array = NDArray[np.float64]
FILE_NAME = "way.npy"
TOPICS = ("episode", "instruction", "joint_state", "arm_target")
END = "the recorded movement has ended"
LOST = "the tracker was restarted and lost its place in the recorded movement; run replay.sh --on-robot again"
_RAMP_S = 1.0  # from standing to the recorded pace, and back; chosen: no step of speed that a hand would not make
_STAND_S = 0.5
"""At the end, before it is said; chosen: the arms' smoothing and fade (`trajectory.fade_s`) are over then."""
_SHARE, _SLOWEST = 0.7, 0.25
"""Of the limits that a movement may need, as the arms plan with (joint_limits.py), and the least pace; chosen."""
_APART = 3  # steps, 0.1 s: accelerations are measured over them, since noise fills shorter ones; chosen
_TARGETS = 64  # 2.1 s: many times what a late run needs; the paper's chunk length (4.2.2)
_PAST_STEPS = 4  # targets before now: at its first ones a chunk's spline is straight, which the movement is not
_DT_NS = NS_PER_S // DEMONSTRATION_HZ  # from target to target: the movement's own
_NONE = -1
_LARGEST_BYTES = 64 << 20  # of a movement's file; chosen: five hours


@dataclass(frozen=True)
class Way:
    """A recorded movement (T, J), rad, grippers m, 30 steps a second; `id` names it in every chunk."""

    q: Array
    id: str

    @property
    def length_s(self) -> float:
        """How long the movement lasts at the pace of its recording."""
        return (len(self.q) - 1) / DEMONSTRATION_HZ

    def at(self, place_s: Array) -> Array:
        """Targets at places of the movement; between two steps straight, since the arms smooth every chunk.

        Args:
            place_s: (K,) s from its beginning.

        Returns:
            (K, J).
        """
        index = np.clip(place_s * DEMONSTRATION_HZ, 0.0, len(self.q) - 1.0)
        low = np.minimum(index.astype(int), max(len(self.q) - 2, 0))
        share = (index - low)[:, None]
        return (1.0 - share) * self.q[low] + share * self.q[np.minimum(low + 1, len(self.q) - 1)]


@dataclass(frozen=True)
class Course:
    """The way from a pose to a place of the recorded movement, and along it to its end; time counts from its beginning."""

    way: Way
    begin: Array  # (J,)
    place_s: float
    pace: float = 1.0  # of the recorded one

    @cached_property
    def approach_s(self) -> float:
        """How long the way from the pose to the movement takes, s.

        It is a fifth-degree polynomial in time. Over a distance d and a time T its peaks are 1.875 d/T, 5.774 d/T^2 and 60
        d/T^3; they stay within what moves to a pose may use (parking.py).
        """
        far = np.abs(self.way.at(np.array([self.place_s]))[0] - self.begin)
        fastest = 1.875 * far / parking.VELOCITY
        return float(np.max([fastest, np.sqrt(5.774 * far / parking.ACCELERATION), np.cbrt(60.0 * far / parking.JERK)]))

    @cached_property
    def ramp_s(self) -> float:
        """How long the pace takes to grow and to fall, s; shorter where little is left to follow."""
        return min(_RAMP_S, self._left_s)

    @property
    def _left_s(self) -> float:
        """How long what is left would take without ramps, s."""
        return (self.way.length_s - self.place_s) / self.pace

    @property
    def duration_s(self) -> float:
        """From the beginning until the arms are told to stand at the end, s."""
        return self.approach_s + self._left_s + self.ramp_s

    def places(self, times_s: Array) -> Array:
        """Where in the movement the course is; its pace grows from 0, and falls to 0 at its end.

        Args:
            times_s: (K,) s since the course began.

        Returns:
            (K,) s from the movement's beginning.
        """
        along, end_s = times_s - self.approach_s, self.duration_s - self.approach_s
        ramp_s = max(self.ramp_s, 1e-9)
        passed_s = _ramped(along, ramp_s) - _ramped(along - (end_s - ramp_s), ramp_s)
        return self.place_s + self.pace * passed_s

    def at(self, times_s: Array) -> Array:
        """Targets (K, J) at times (K,), s since the course began."""
        first = self.way.at(np.array([self.place_s]))[0]
        share = np.clip(times_s / max(self.approach_s, 1e-9), 0.0, 1.0)
        rise = share**3 * (10.0 - 15.0 * share + 6.0 * share**2)
        approach = self.begin + rise[:, None] * (first - self.begin)
        return np.where((times_s < self.approach_s)[:, None], approach, self.way.at(self.places(times_s)))


def _ramped(times_s: Array, ramp_s: float) -> Array:
    """The integral of a pace that rises smoothly from 0 to 1 within a ramp and then stays 1."""
    share = np.clip(times_s / ramp_s, 0.0, 1.0)
    return ramp_s * (2.5 * share**4 - 3.0 * share**5 + share**6) + np.maximum(times_s - ramp_s, 0.0)


@dataclass
class TrackerState:
    """What a step remembers: where in the movement the arms are, and when they began to run."""

    run: int = 0
    skips: int = 0
    episode: int = _NONE
    place_s: float = 0.0  # of the recorded movement: where it is resumed
    begin: Array = field(default_factory=lambda: np.zeros(messages.JOINTS))  # where the course of by now begins
    origin_ns: int = _NONE  # when it began; not while the arms do not run


@dataclass(frozen=True)
class TrackerInputs:
    """The newest of everything that is read; None for what did not come yet."""

    episode: messages.Episode
    instruction: messages.Instruction
    joints: messages.JointState | None
    target: (
        messages.ArmTarget | None
    )  # where the arms are told to be: a gripper that holds something is wider than that


@dataclass(frozen=True)
class TrackerConfig:
    """The settings and the movement; they do not change during a run."""

    settings: Settings
    way: Way

    def course(self, state: TrackerState) -> Course:
        """From where the arms are told to be, or were when they began to run."""
        return Course(self.way, state.begin, state.place_s, self.pace)

    @cached_property
    def pace(self) -> float:
        """1, or less for a movement that needs most of what the limits allow: a policy that they held back used it all."""
        limits, arms = Limits.of(self.settings.safety), self.way.q[:, WITHOUT_GRIPPERS]
        speed = np.abs(np.diff(arms, axis=0)).max(axis=0) * DEMONSTRATION_HZ / limits.velocity[WITHOUT_GRIPPERS]
        # Over steps that noise does not fill.
        far = arms[2 * _APART :] - 2.0 * arms[_APART:-_APART] + arms[: -2 * _APART]
        bend = (
            np.abs(far).max(axis=0, initial=0.0)
            * (DEMONSTRATION_HZ / _APART) ** 2
            / limits.acceleration[WITHOUT_GRIPPERS]
        )
        needed = max(float(speed.max()) / _SHARE, float(np.sqrt(bend.max() / _SHARE)))
        return float(np.clip(1.0 / max(needed, 1e-9), _SLOWEST, 1.0))


def load(path: Path) -> Way:
    """A way that `save` wrote; its id is a hash of the file. Raises RuntimeFault."""
    try:
        data = plain_file.read(path, _LARGEST_BYTES)
        q = np.load(BytesIO(data), allow_pickle=False)
        if q.ndim != 2 or q.shape[1] != messages.JOINTS or q.dtype.kind != "f" or not np.isfinite(q).all():
            raise ValueError(f"{q.dtype} {q.shape}")
    except (OSError, ValueError, MemoryError, EOFError) as error:
        raise RuntimeFault(f"{path}: is not a recorded movement ({error}); run replay.sh --on-robot again") from None
    return Way(q, hashlib.sha256(data).hexdigest()[:16])


def save(q: Array, folder: Path) -> None:
    """Keep a movement (T, J) in a session's folder, where the process and a replay find it."""
    np.save(folder / FILE_NAME, q, allow_pickle=False)


def step(
    config: TrackerConfig, state: TrackerState, inputs: TrackerInputs, epoch: int, now_ns: int
) -> messages.ActionChunk | messages.Skip:
    """The next chunk along the movement, or the reason for none.

    Args:
        config: Settings and movement.
        state: Changed in place.
        inputs: The newest messages.
        epoch: Of this process; a second life makes no chunks, since it must not begin again by itself.
        now_ns: CLOCK_MONOTONIC.

    Returns:
        A chunk of 64 targets at 30 Hz; a skip at the movement's end.
    """
    if epoch > 1:  # it must not begin again by itself
        return _skip(state, inputs, LOST, epoch, now_ns)
    joints, target = inputs.joints, inputs.target
    if joints is None or target is None:
        return _skip(state, inputs, "no joint state yet", epoch, now_ns)
    if inputs.episode.number != state.episode:  # a new one begins at the beginning
        state.episode, state.place_s, state.origin_ns = inputs.episode.number, 0.0, _NONE
    if not (joints.running and joints.chunk_epoch == epoch):
        _stand(config, state, target)
    elif state.origin_ns == _NONE:  # it began with the first target of the chunk that the arms took
        state.origin_ns = joints.stamp_ns - max(joints.consumed - 1, 0) * _DT_NS
    course = config.course(state)
    stands = state.origin_ns == _NONE
    t0_ns = now_ns + _DT_NS if stands else now_ns - _PAST_STEPS * _DT_NS
    first_s = 0.0 if stands else (t0_ns - state.origin_ns) / NS_PER_S
    if (stands and state.place_s >= config.way.length_s) or first_s > course.duration_s + _STAND_S:
        return _skip(state, inputs, END, epoch, now_ns)
    q = course.at(first_s + np.arange(_TARGETS, dtype=np.float64) * (_DT_NS / NS_PER_S))
    state.run += 1
    return _chunk(config, state, inputs, q.astype(np.float32), t0_ns, epoch, now_ns)


def _chunk(
    config: TrackerConfig,
    state: TrackerState,
    inputs: TrackerInputs,
    q: NDArray[np.float32],
    t0_ns: int,
    epoch: int,
    now_ns: int,
) -> messages.ActionChunk:
    """The message of the run that `state.run` counts."""
    assert inputs.joints is not None, "step() lets none of these pass"
    made = outputs.Made(
        run=state.run,
        episode=inputs.episode,
        instruction=inputs.instruction,
        joints=inputs.joints,
        conditions=None,
        observation_ns=now_ns,
        frame_returned_ns=now_ns,
        inputs=_references(inputs),
        epoch=epoch,
        now_ns=now_ns,
    )
    return outputs.chunk(
        made,
        q,
        t0_ns,
        _DT_NS,
        conditions_limit_ns=seconds(config.settings.safety.max_condition_age_s),
        checkpoint_id=config.way.id,
        timing=messages.Timing(finished_ns=robot_time_ns()),
    )


def inputs_of(held: dict[str, messages.Message]) -> TrackerInputs | None:
    """A step's inputs from messages by topic; None while episode or instruction is unknown."""
    episode, instruction, joints, target = (held.get(name) for name in TOPICS)
    if not isinstance(episode, messages.Episode) or not isinstance(instruction, messages.Instruction):
        return None
    return TrackerInputs(
        episode,
        instruction,
        joints if isinstance(joints, messages.JointState) and joints.heard else None,
        target if isinstance(target, messages.ArmTarget) else None,
    )


def _stand(config: TrackerConfig, state: TrackerState, target: messages.ArmTarget) -> None:
    """While the arms do not run: the next course begins where they are told to be, at the place to which the last one had
    come.
    """
    if state.origin_ns != _NONE:
        course = config.course(state)
        passed_s = np.array([(target.stamp_ns - state.origin_ns) / NS_PER_S])
        state.place_s = float(np.clip(course.places(passed_s)[0], state.place_s, config.way.length_s))
        state.origin_ns = _NONE
    state.begin = target.q


def _skip(state: TrackerState, inputs: TrackerInputs, reason: str, epoch: int, now_ns: int) -> messages.Skip:
    return outputs.skip(state, inputs.episode, _references(inputs), reason, epoch, now_ns)


def _references(inputs: TrackerInputs) -> tuple[messages.InputRef, ...]:
    return references(inputs.episode, inputs.instruction, inputs.joints, inputs.target)
