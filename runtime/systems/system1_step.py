"""One run of System 1: a chunk of joint targets, or the reason for none. Deterministic.
Called by system1.py, the virtual clock and the replay.

Pictures and encoded instructions are asked for through arguments, so the live ring and a session serve alike. The policy is
known by its protocol alone (runtime/policy/protocols.py). Legend: J = 14 joints, H targets in a chunk.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.requirements import Requirements
from runtime.config import live_tuning, what_to_check
from runtime.host.clock import robot_time_ns, seconds
from runtime.messaging import messages, topics
from runtime.policy import units
from runtime.policy.protocols import EncodedInstruction, FastPolicy, NoChunk, Observation
from runtime.systems import outputs
from runtime.systems.blackout import blacked_out
from runtime.systems.condition_age import conditions_limit_ns, saturated
from runtime.systems.frame_sets import FrameSet, PictureSource, skew_ns
from runtime.systems.system1_state import System1Config, System1Inputs, System1State

_KEPT_DURATIONS = 100  # derived: the fewest of which one outlier is above the nearest-rank 99th percentile
_MOST_COMMITTED = 16
"""The longest prefix that training shows a policy (models/train/choices.py, `cloning.longest_prefix`)."""
_SEED_STEP, _EPOCH_STEP = 1_000_003, 65_537  # primes, so that seeds, epochs and runs seldom meet in the same noise
_NO_PREFIX = np.zeros((0, messages.JOINTS))


def refusal(config: System1Config, state: System1State, inputs: System1Inputs, now_ns: int) -> str:
    """Why no chunk can be made from these inputs.

    Args:
        config: Settings and policy.
        state: Knows System 2's durations, which the conditions' limit follows from.
        inputs: The newest messages.
        now_ns: CLOCK_MONOTONIC.

    Returns:
        One text with value and limit, the first that applies; empty: it can.
    """
    settings, conditions = config.settings, inputs.conditions
    skew = skew_ns(inputs.newest)
    if skew > seconds(settings.cameras.max_skew_s):
        late = min(inputs.newest, key=lambda frame: frame.capture_ns).camera
        apart = f"{skew / 1e6:.0f} ms apart in time (limit {settings.cameras.max_skew_s * 1e3:.0f} ms)"
        return f"camera frames are {apart}: {late} is late; {what_to_check.of_camera(settings, late)}"
    if inputs.joints is None:
        return "no joint state yet"
    encoded = inputs.embedding is not None and inputs.embedding.instruction == inputs.instruction.number
    if config.fast.needs.instruction == "encoded" and not encoded:
        return "the instruction is not encoded yet"
    if not config.fast.needs.prefix and live_tuning.blend(settings, inputs.episode) == "prefix":
        return "blend prefix: the policy continues no committed targets; choose fade, ensemble or none"
    if not config.fast.needs.conditions:
        return ""
    if conditions is None:
        return "no conditions yet"
    if conditions.checkpoint_id != config.checkpoint_id:
        return f"conditions: expected checkpoint {config.checkpoint_id}, got {conditions.checkpoint_id}; restart both systems"
    if (conditions.episode, conditions.instruction) != (inputs.episode.number, inputs.instruction.number):
        return "conditions belong to another episode or instruction"
    if wrong := _unlike(config.fast.needs, conditions):
        return wrong
    limit_ns = conditions_limit_ns(settings, inputs.episode, state.condition_durations_ns)
    if now_ns - conditions.capture_ns > limit_ns:
        return f"conditions are {(now_ns - conditions.capture_ns) / 1e6:.0f} ms old (limit {limit_ns / 1e6:.0f} ms)"
    return ""


def _unlike(needs: Requirements, conditions: messages.Conditions) -> str:
    """Which of the conditions' arrays is not what the policy takes; empty: all are."""
    for wanted in needs.conditions:
        found = conditions.arrays.get(wanted.name)
        if found is None or (found.dtype, found.shape) != (wanted.dtype, wanted.shape):
            holds = "nothing" if found is None else f"{found.dtype} {found.shape}"
            return f"conditions: {wanted.name}: the policy expects {wanted.dtype} {wanted.shape}, got {holds}"
    return ""


@dataclass(frozen=True)
class _Plan:
    """What is settled before the networks run: times, prefix, seed, and what goes into the message."""

    observation_ns: int
    dt_ns: int
    prefix: NDArray[np.float64]  # (n, J) committed targets
    noise_seed: int
    conditions: messages.Conditions | None  # None for a policy without a slow system
    joints: messages.JointState
    key: str | None  # of the encoded instruction; None: the policy reads its text

    @property
    def t0_ns(self) -> int:
        """When the first target is due: one dt after the observation."""
        return self.observation_ns + self.dt_ns


def step(
    config: System1Config,
    state: System1State,
    inputs: System1Inputs,
    pictures: PictureSource,
    embeddings: Callable[[str], EncodedInstruction],
    epoch: int,
    now_ns: int,
) -> messages.ActionChunk | messages.Skip:
    """One run: a chunk, or the reason for none.

    Args:
        config: Settings and policy.
        state: Changed in place.
        inputs: The newest messages, and sets of frames as old as the policy's history says.
        pictures: Gives a frame's pixels, or None when it is gone.
        embeddings: Gives an encoded instruction by its key.
        epoch: Of this process, for its messages and the noise.
        now_ns: When the run began, CLOCK_MONOTONIC.

    Returns:
        The chunk, (H, J) float32 in the robot's units; or a skip with its reason, as when a picture was overwritten meanwhile,
        or the policy has no chunk.
    """
    _note_conditions(state, inputs.conditions)
    reason = refusal(config, state, inputs, now_ns)
    if reason:
        return _skip(state, inputs, reason, epoch, now_ns)
    plan = _plan(config, state, inputs, epoch, now_ns)
    started_ns = robot_time_ns()
    prepared = {frames: _prepare(config, inputs.episode.seed, frames, pictures) for frames in inputs.sets}
    for frames, made in prepared.items():
        if made is None and not config.fast.has_images(_numbers(frames)):
            lost = f"frames {_numbers(frames)} were overwritten before they were read"
            why = "the machine is overloaded; end other programs"
            return _skip(state, inputs, f"{lost}: {why}", epoch, now_ns)
    prepared_ns = robot_time_ns()
    for frames, made in prepared.items():
        if made is not None:
            config.fast.encode_images(_numbers(frames), made)
    instruction = inputs.instruction.text if plan.key is None else embeddings(plan.key)
    try:
        q = _predicted(config.fast, inputs, plan, instruction, now_ns)
    except NoChunk as error:
        return _skip(state, inputs, str(error), epoch, now_ns)
    finished_ns = robot_time_ns()
    timing = messages.Timing(
        finished_ns=finished_ns, prepare_ns=prepared_ns - started_ns, forward_ns=finished_ns - prepared_ns
    )
    state.run += 1
    state.previous_t0_ns, state.previous_dt_ns = plan.t0_ns, plan.dt_ns
    state.previous_q, state.previous_seq = q.astype(np.float64), state.run - 1
    return _chunk(config, state, inputs, plan, q, timing, epoch, now_ns)


def _predicted(
    fast: FastPolicy, inputs: System1Inputs, plan: _Plan, instruction: EncodedInstruction, now_ns: int
) -> NDArray[np.float32]:
    """The policy's chunk (H, J), in the robot's units; arguments are brought to the policy's before."""
    needs, q, conditions = fast.needs, plan.joints.q, plan.conditions
    chunk = fast.predict_chunk(
        Observation(
            sets=tuple(_numbers(frames) for frames in inputs.sets),
            q=units.state_to_policy(needs, q),
            instruction=instruction,
            conditions=None if conditions is None else conditions.arrays,
            conditions_age_s=0.0 if conditions is None else (now_ns - conditions.capture_ns) / 1e9,
            prefix=units.targets_to_policy(needs, plan.prefix, q),
            noise_seed=plan.noise_seed,
        )
    )
    return units.targets_of_policy(needs, chunk, q)


def _plan(config: System1Config, state: System1State, inputs: System1Inputs, epoch: int, now_ns: int) -> _Plan:
    joints, embedding, needs = inputs.joints, inputs.embedding, config.fast.needs
    assert joints is not None and (embedding is not None or needs.instruction == "text"), "refusal() lets none pass"
    key = embedding.key if needs.instruction == "encoded" and embedding is not None else None
    conditions = inputs.conditions if needs.conditions else None
    settings = config.settings
    observation_ns = max(frame.capture_ns for frame in inputs.newest)
    dt_ns = seconds(needs.dt_s)
    prefixed = live_tuning.blend(settings, inputs.episode) == "prefix"
    arrives_ns = now_ns + live_tuning.period_ns(settings, inputs.episode)  # at the latest
    prefix = _prefix(state, joints, observation_ns + dt_ns, dt_ns, arrives_ns) if prefixed else _NO_PREFIX
    prefix = prefix[: needs.targets - 1]  # something of the chunk is new
    noise_seed = (settings.seed * _SEED_STEP + epoch * _EPOCH_STEP + state.run) % (1 << 31)
    return _Plan(observation_ns, dt_ns, prefix, noise_seed, conditions, joints, key)


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
    """The message of the run that `state.run` counts."""
    made = outputs.Made(
        run=state.run,
        episode=inputs.episode,
        instruction=inputs.instruction,
        joints=plan.joints,
        conditions=plan.conditions,
        observation_ns=plan.observation_ns,
        frame_returned_ns=max(frame.returned_ns for frame in inputs.newest),
        inputs=references(inputs),
        epoch=epoch,
        now_ns=now_ns,
    )
    return outputs.chunk(
        made,
        q,
        plan.t0_ns,
        plan.dt_ns,
        conditions_limit_ns=conditions_limit_ns(config.settings, inputs.episode, state.condition_durations_ns),
        committed=len(plan.prefix),
        noise_seed=plan.noise_seed,
        checkpoint_id=config.checkpoint_id,
        saturated=saturated(config.settings, inputs.episode, state.condition_durations_ns),
        timing=timing,
    )


def references(inputs: System1Inputs) -> tuple[messages.InputRef, ...]:
    """References to everything consumed, in order: states, then the sets of frames, the newest last. A replay feeds these."""
    states = (inputs.episode, inputs.instruction, inputs.embedding, inputs.joints, inputs.conditions)
    return topics.references(*states, *(frame for frames in inputs.sets for frame in frames))


def inputs_of(held: dict[str, messages.Message], sets: tuple[FrameSet, ...]) -> System1Inputs | None:
    """A step's inputs.

    Args:
        held: The newest message of each topic.
        sets: Sets of frames, the newest last.

    Returns:
        None while episode or instruction is unknown. Joints count only once both arms were heard.
    """
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
        sets,
    )


def encode_ahead(fast: FastPolicy, frames: FrameSet, pictures: PictureSource) -> None:
    """Encode a set that a coming run will need as an older one, if its pictures are still there. The bits are the same at any
    time.
    """
    prepared = _fetch(fast, frames, pictures)
    if prepared is not None:
        fast.encode_images(_numbers(frames), prepared)


def make_ahead(fast: FastPolicy, message: messages.Message, embeddings: Callable[[str], EncodedInstruction]) -> None:
    """Let the policy make what it can of a new instruction or of new conditions, so that no run has to; changes no bit."""
    if isinstance(message, messages.Conditions):
        fast.foresee(message.arrays)
    if isinstance(message, messages.Embedding):
        fast.instruct(embeddings(message.key))


def _note_conditions(state: System1State, conditions: messages.Conditions | None) -> None:
    if conditions is None or (conditions.epoch, conditions.seq) == state.conditions:
        return
    state.conditions = (conditions.epoch, conditions.seq)
    taken_ns = max(0, conditions.timing.finished_ns - conditions.stamp_ns)
    state.condition_durations_ns = (*state.condition_durations_ns, taken_ns)[-_KEPT_DURATIONS:]


def _skip(state: System1State, inputs: System1Inputs, reason: str, epoch: int, now_ns: int) -> messages.Skip:
    return outputs.skip(state, inputs.episode, references(inputs), reason, epoch, now_ns)


def _numbers(frames: FrameSet) -> tuple[int, ...]:
    return tuple(frame.seq for frame in frames)


def _prepare(config: System1Config, seed: int, frames: FrameSet, pictures: PictureSource) -> object | None:
    """The set's pictures as the encoder takes them, black where the shift says so; None as `_fetch` gives it."""
    blind = config.settings.shift == "blackout" and blacked_out(seed, frames[0].capture_ns)
    return _fetch(config.fast, frames, pictures, black=blind)


def _fetch(fast: FastPolicy, frames: FrameSet, pictures: PictureSource, black: bool = False) -> object | None:
    """The set's pictures as the encoder takes them; None when one is gone, or none is needed because the set is known."""
    if fast.has_images(_numbers(frames)):
        return None
    fetched = tuple(picture for frame in frames if (picture := pictures(frame.camera, frame.seq)) is not None)
    if black:
        fetched = tuple(np.zeros_like(picture) for picture in fetched)
    return fast.prepare_images(fetched) if len(fetched) == len(frames) else None


def _prefix(
    state: System1State, joints: messages.JointState, t0_ns: int, dt_ns: int, arrives_ns: int
) -> NDArray[np.float64]:
    """Targets (n, J) that are committed: those of the previous chunk that will pass before this one arrives.

    Resampled at this chunk's times; none where that chunk is not the one being executed.
    """
    executing = joints.running and joints.chunk_seq == state.previous_seq and len(state.previous_q)
    if not executing:
        return _NO_PREFIX
    count = min(_MOST_COMMITTED, -(-(arrives_ns - t0_ns) // dt_ns))
    times = t0_ns + dt_ns * np.arange(max(0, count))
    places = (times - state.previous_t0_ns) / state.previous_dt_ns
    places = places[places <= len(state.previous_q) - 1]
    grid = np.arange(len(state.previous_q))
    columns = [np.interp(places, grid, state.previous_q[:, joint]) for joint in range(messages.JOINTS)]
    return np.stack(columns, axis=1) if len(places) else _NO_PREFIX
