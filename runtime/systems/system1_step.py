"""One run of System 1: a chunk of 64 joint targets, or the reason for none. Deterministic; called by system1 and by the replay.

Pictures and encoded instructions are asked for through arguments, so the live ring and a session serve alike.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from models.fast import FastSystem
from models.policy import InstructionEmbedding
from runtime.config import tuning
from runtime.config.settings import Settings
from runtime.host.clock import robot_time_ns, seconds
from runtime.messaging import messages, topics
from runtime.systems.condition_codec import ConditionTensors
from runtime.systems.frame_sets import PictureSource, skew_ns
from runtime.systems.skips import skip

_KEPT_DURATIONS = 100
_MOST_COMMITTED = 16
_SEED_STEP, _EPOCH_STEP = 1_000_003, 65_537
_NONE = -1
_NO_PREFIX = np.zeros((0, messages.JOINTS))


@dataclass
class System1State:
    """What a step remembers."""

    run: int = 0  # runs that made a chunk
    skips: int = 0
    condition_durations_ns: tuple[int, ...] = ()  # durations of System 2's last conditions
    conditions: tuple[int, int] = (_NONE, _NONE)  # epoch and seq of the newest seen
    previous_t0_ns: int = 0
    previous_dt_ns: int = 1
    previous_q: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, messages.JOINTS)))
    previous_seq: int = _NONE


@dataclass(frozen=True)
class System1Inputs:
    """The newest of everything System 1 reads."""

    episode: messages.Episode
    instruction: messages.Instruction
    embedding: messages.Embedding | None
    joints: messages.JointState | None
    conditions: messages.Conditions | None
    now: tuple[messages.Frame, ...]  # one notice a camera
    before: tuple[messages.Frame, ...]


@dataclass(frozen=True)
class System1Config:
    """The settings and networks that `step` needs, made once."""

    settings: Settings
    fast: FastSystem
    checkpoint_id: str
    tensors: ConditionTensors = field(default_factory=ConditionTensors)


def refusal(config: System1Config, state: System1State, inputs: System1Inputs, now_ns: int) -> str:
    """Why no chunk can be made from these inputs; empty: it can."""
    settings, conditions = config.settings, inputs.conditions
    skew = skew_ns(inputs.now)
    if skew > seconds(settings.cameras.max_skew_s):
        late = min(inputs.now, key=lambda frame: frame.capture_ns).camera
        return (
            f"cameras are {skew / 1e6:.0f} ms apart (limit {settings.cameras.max_skew_s * 1e3:.0f} ms): {late} is late"
        )
    if inputs.joints is None:
        return "no joint state"
    if inputs.embedding is None or inputs.embedding.instruction != inputs.instruction.number:
        return "the instruction is not encoded yet"
    if conditions is None:
        return "no conditions yet"
    if conditions.checkpoint_id != config.checkpoint_id:
        return f"conditions of checkpoint {conditions.checkpoint_id}, this is {config.checkpoint_id}; start both alike"
    if (conditions.episode, conditions.instruction) != (inputs.episode.number, inputs.instruction.number):
        return "conditions of another episode or instruction"
    limit_ns = conditions_limit_ns(settings, state, tuning.ratio(settings, inputs.episode))
    if now_ns - conditions.capture_ns > limit_ns:
        return f"conditions are {(now_ns - conditions.capture_ns) / 1e6:.0f} ms old (limit {limit_ns / 1e6:.0f} ms)"
    return ""


def conditions_limit_ns(settings: Settings, state: System1State, ratio: int) -> int:
    """min(max_condition_age_s, 1.5 x (cycle + System 2's p99 + period)).

    The cycle is n periods, or System 2's p99 when it is saturated; the last period is that in which the last chunk made
    with a condition is executed.
    """
    slowest_ns = _quantile(state.condition_durations_ns, 0.99)
    period_ns = seconds(settings.system1.period_s)
    cycle_ns = max(ratio * period_ns, slowest_ns)
    return min(seconds(settings.safety.max_condition_age_s), (cycle_ns + slowest_ns + period_ns) * 3 // 2)


@dataclass(frozen=True)
class _Plan:
    """What is settled before the networks run."""

    observation_ns: int
    dt_ns: int
    prefix: NDArray[np.float64]  # (n, J) committed targets
    noise_seed: int
    conditions: messages.Conditions
    joints: messages.JointState
    key: str  # of the encoded instruction

    @property
    def t0_ns(self) -> int:
        """Time of the first target."""
        return self.observation_ns + self.dt_ns


def step(
    config: System1Config,
    state: System1State,
    inputs: System1Inputs,
    pictures: PictureSource,
    embeddings: Callable[[str], InstructionEmbedding],
    epoch: int,
    now_ns: int,
) -> messages.ActionChunk | messages.Skip:
    """One run: a chunk, or the reason for none."""
    _note_conditions(state, inputs.conditions)
    reason = refusal(config, state, inputs, now_ns)
    if reason:
        return _skip(state, inputs, reason, epoch, now_ns)
    plan = _plan(config, state, inputs, epoch, now_ns)
    started_ns = robot_time_ns()
    prepared = {frames: _prepare(config.fast, frames, pictures) for frames in (inputs.before, inputs.now)}
    for frames, tensor in prepared.items():
        if tensor is None and not config.fast.has(_numbers(frames)):
            return _skip(state, inputs, f"frames {_numbers(frames)} are overwritten", epoch, now_ns)
    prepared_ns = robot_time_ns()
    seen = [_encode_images(config.fast, frames, prepared[frames]) for frames in (inputs.before, inputs.now)]
    age_s = (now_ns - plan.conditions.capture_ns) / 1e9
    instruction, conditions = embeddings(plan.key), config.tensors(plan.conditions)
    q = config.fast.predict_chunk(seen, plan.joints.q, instruction, conditions, age_s, plan.prefix, plan.noise_seed)
    finished_ns = robot_time_ns()
    timing = messages.Timing(
        finished_ns=finished_ns, prepare_ns=prepared_ns - started_ns, forward_ns=finished_ns - prepared_ns
    )
    state.run += 1
    state.previous_t0_ns, state.previous_dt_ns = plan.t0_ns, plan.dt_ns
    state.previous_q, state.previous_seq = q.astype(np.float64), state.run - 1
    return _chunk(config, state, inputs, plan, q, timing, epoch, now_ns)


def _plan(config: System1Config, state: System1State, inputs: System1Inputs, epoch: int, now_ns: int) -> _Plan:
    conditions, joints, embedding = inputs.conditions, inputs.joints, inputs.embedding
    assert conditions is not None and joints is not None and embedding is not None, "refusal() lets none of these pass"
    settings = config.settings
    observation_ns = max(frame.capture_ns for frame in inputs.now)
    dt_ns = seconds(config.fast.config.dt_s)
    prefixed = tuning.blend(settings, inputs.episode) == "prefix"
    prefix = _prefix(settings, state, joints, observation_ns + dt_ns, dt_ns, now_ns) if prefixed else _NO_PREFIX
    noise_seed = (settings.seed * _SEED_STEP + epoch * _EPOCH_STEP + state.run) % (1 << 31)
    return _Plan(observation_ns, dt_ns, prefix, noise_seed, conditions, joints, embedding.key)


def _chunk(
    config: System1Config,
    state: System1State,
    inputs: System1Inputs,
    plan: _Plan,
    q: NDArray[np.float32],
    timing: messages.Timing,
    epoch: int,
    now_ns: int,
) -> messages.ActionChunk:
    """The message of run number `memory.run`."""
    conditions, joints = plan.conditions, plan.joints
    ratio = tuning.ratio(config.settings, inputs.episode)
    mine = joints.chunk_epoch == epoch
    return messages.ActionChunk(
        seq=state.run - 1,
        epoch=epoch,
        stamp_ns=now_ns,
        episode=inputs.episode.number,
        inputs=references(inputs),
        q=q,
        t0_ns=plan.t0_ns,
        dt_ns=plan.dt_ns,
        run=state.run,
        observation_ns=plan.observation_ns,
        conditions_epoch=conditions.epoch,
        conditions_seq=conditions.seq,
        conditions_capture_ns=conditions.capture_ns,
        conditions_limit_ns=conditions_limit_ns(config.settings, state, ratio),
        previous_seq=joints.chunk_seq if mine else _NONE,
        consumed=joints.consumed if mine else 0,
        committed=len(plan.prefix),
        noise_seed=plan.noise_seed,
        instruction=inputs.instruction.number,
        checkpoint_id=config.checkpoint_id,
        frame_returned_ns=max(frame.returned_ns for frame in inputs.now),
        saturated=_saturated(config.settings, state, ratio),
        timing=timing,
    )


def references(inputs: System1Inputs) -> tuple[messages.InputRef, ...]:
    """Everything that was consumed, in order: states, then the set before, then the newest set."""
    states = (inputs.episode, inputs.instruction, inputs.embedding, inputs.joints, inputs.conditions)
    return topics.references(*states, *inputs.before, *inputs.now)


def inputs_of(
    held: dict[str, messages.Message], before: tuple[messages.Frame, ...], newest: tuple[messages.Frame, ...]
) -> System1Inputs | None:
    """A step's inputs from messages by topic and two sets of frames."""
    episode, instruction = held.get("episode"), held.get("instruction")
    embedding, joints, conditions = held.get("embedding"), held.get("joint_state"), held.get("conditions")
    if not isinstance(episode, messages.Episode) or not isinstance(instruction, messages.Instruction):
        return None
    return System1Inputs(
        episode,
        instruction,
        embedding if isinstance(embedding, messages.Embedding) else None,
        joints if isinstance(joints, messages.JointState) and joints.heard else None,
        conditions if isinstance(conditions, messages.Conditions) else None,
        newest,
        before,
    )


def encode_ahead(fast: FastSystem, frames: tuple[messages.Frame, ...], pictures: PictureSource) -> None:
    """Encode a set that a coming run will need as its older one. Encoding gives the same bits at any time."""
    prepared = _prepare(fast, frames, pictures)
    if prepared is not None:
        _encode_images(fast, frames, prepared)


def _note_conditions(state: System1State, conditions: messages.Conditions | None) -> None:
    if conditions is None or (conditions.epoch, conditions.seq) == state.conditions:
        return
    state.conditions = (conditions.epoch, conditions.seq)
    taken_ns = max(0, conditions.timing.finished_ns - conditions.stamp_ns)
    state.condition_durations_ns = (*state.condition_durations_ns, taken_ns)[-_KEPT_DURATIONS:]


def _skip(state: System1State, inputs: System1Inputs, reason: str, epoch: int, now_ns: int) -> messages.Skip:
    return skip(state, inputs.episode, references(inputs), reason, epoch, now_ns)


def _numbers(frames: tuple[messages.Frame, ...]) -> tuple[int, ...]:
    return tuple(frame.seq for frame in frames)


def _prepare(fast: FastSystem, frames: tuple[messages.Frame, ...], pictures: PictureSource) -> torch.Tensor | None:
    """The set's pictures as the encoder takes them; None when they are gone, or not needed because it is known."""
    if fast.has(_numbers(frames)):
        return None
    fetched = tuple(picture for frame in frames if (picture := pictures(frame.camera, frame.seq)) is not None)
    return fast.prepare(fetched) if len(fetched) == len(frames) else None


def _encode_images(fast: FastSystem, frames: tuple[messages.Frame, ...], prepared: torch.Tensor | None) -> torch.Tensor:
    """Tokens of a set; a set that was encoded before is not encoded again."""
    return fast.encode_images(_numbers(frames), torch.empty(0) if prepared is None else prepared)


def _saturated(settings: Settings, state: System1State, ratio: int) -> bool:
    """Whether System 2 takes longer than n periods."""
    return _quantile(state.condition_durations_ns, 0.5) > ratio * seconds(settings.system1.period_s)


def _quantile(values: tuple[int, ...], share: float) -> int:
    """Nearest-rank quantile, 0 without values; a hundred numbers need no array library."""
    if not values:
        return 0
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _prefix(
    settings: Settings, state: System1State, joints: messages.JointState, t0_ns: int, dt_ns: int, now_ns: int
) -> NDArray[np.float64]:
    """Targets (n, J) that are committed: those of the previous chunk that will pass before this one can arrive."""
    executing = joints.running and joints.chunk_seq == state.previous_seq and len(state.previous_q)
    if not executing:
        return _NO_PREFIX
    count = min(_MOST_COMMITTED, -(-(now_ns + seconds(settings.system1.period_s) - t0_ns) // dt_ns))
    times = t0_ns + dt_ns * np.arange(max(0, count))
    places = (times - state.previous_t0_ns) / state.previous_dt_ns
    places = places[places <= len(state.previous_q) - 1]
    grid = np.arange(len(state.previous_q))
    columns = [np.interp(places, grid, state.previous_q[:, joint]) for joint in range(messages.JOINTS)]
    return np.stack(columns, axis=1) if len(places) else _NO_PREFIX
