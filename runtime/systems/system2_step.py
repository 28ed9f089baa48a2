"""One condition of System 2: whether one is due, which frames its windows hold, and the tokens. Deterministic; for system2.

The trigger is a level, not an edge (`decide`), so the first condition and the one after a HOLD come by themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from models.policy import InstructionEmbedding
from models.slow import SlowSystem
from models.window import FrameTime, LatentRing, grid_frames, widest_gap_ns
from runtime.config import tuning
from runtime.config.settings import Settings
from runtime.host.clock import robot_time_ns, seconds
from runtime.messaging import messages, topics
from runtime.systems.condition_codec import to_map, to_wire
from runtime.systems.frame_sets import PictureSource

HEAD = "head"
_NONE = -1

Trigger = Literal["ratio", "epoch", "episode", "instruction", "age", "free"]


@dataclass
class System2State:
    """What a step remembers: how System 1 stood when the last condition was started."""

    run: int = _NONE
    system1_epoch: int = _NONE
    episode: int = _NONE
    instruction: int = _NONE
    capture_ns: int = _NONE
    published: int = 0


@dataclass(frozen=True)
class System2Inputs:
    """The newest of everything System 2 reads."""

    episode: messages.Episode
    instruction: messages.Instruction
    embedding: messages.Embedding
    system1: messages.Message | None  # System 1's newest chunk or skip
    frames: tuple[messages.Frame, ...]  # head notices, oldest first


@dataclass(frozen=True)
class System2Config:
    """The settings and networks that `step` needs, made once."""

    settings: Settings
    slow: SlowSystem
    checkpoint_id: str
    stride: int  # frames between neighbours of the long window

    @classmethod
    def of(cls, settings: Settings, slow: SlowSystem, checkpoint_id: str) -> "System2Config":
        """From the settings tree and a policy."""
        stride = max(1, round(slow.config.video.low.stride_s * settings.cameras.head.rate_hz))
        return cls(settings, slow, checkpoint_id, stride)


def decide(config: System2Config, state: System2State, inputs: System2Inputs, now_ns: int) -> Trigger | None:
    """Whether a condition is due, and why."""
    run, epoch = _run_of(inputs.system1)
    settings, ratio = config.settings, tuning.ratio(config.settings, inputs.episode)
    if inputs.episode.number != state.episode:
        return "episode"
    if inputs.instruction.number != state.instruction:
        return "instruction"
    if settings.pacing == "free":
        return "free"
    if epoch != state.system1_epoch:
        return "epoch"
    if run >= state.run + ratio:
        return "ratio"
    if now_ns - state.capture_ns > _refresh_ns(settings, state, inputs.system1, ratio):
        return "age"
    return None


@dataclass(frozen=True)
class Windows:
    """The frames of a condition, oldest first."""

    high: tuple[messages.Frame, ...]
    low: tuple[messages.Frame, ...]
    before: tuple[
        messages.Frame, ...
    ] = ()  # the last one of the episode before, where it tells which frame began this one


def windows(config: System2Config, inputs: System2Inputs) -> Windows | None:
    """Notices of the short and the long window; None while frames of the episode lack.

    Before its first frame the episode looked like that one, as in training (models/train/prepared.py).
    """
    video = config.slow.config.video
    frames = [frame for frame in inputs.frames if frame.capture_ns >= inputs.episode.started_ns]
    if not frames:
        return None
    by_number = {frame.seq: frame for frame in frames}
    first, newest = frames[0].seq, frames[-1].seq
    high = range(newest - video.high.frames + 1, newest + 1)
    low = grid_frames(newest, config.stride, video.low.frames)
    before = tuple(frame for frame in inputs.frames if frame.seq == first - 1)
    begins = first == 0 or bool(before)  # else the frames before it are only not known any more
    if begins:
        before = before if min(high[0], low[0]) < first else ()
        high, low = ([max(number, first) for number in numbers] for numbers in (high, low))
    if any(number not in by_number for number in (*high, *low)):
        return None
    return Windows(tuple(by_number[n] for n in high), tuple(by_number[n] for n in low), before)


def step(
    config: System2Config,
    state: System2State,
    inputs: System2Inputs,
    pictures: PictureSource,
    embeddings: Callable[[str], InstructionEmbedding],
    epoch: int,
    now_ns: int,
) -> messages.Conditions | None:
    """One condition, or None when none is due or its frames are not there."""
    trigger = decide(config, state, inputs, now_ns)
    chosen = windows(config, inputs) if trigger is not None else None
    if trigger is None or chosen is None or inputs.embedding.instruction != inputs.instruction.number:
        return None
    high, low = chosen.high, chosen.low
    slow = config.slow
    prepared = all(encode(slow, slow.low, pictures, frame) for frame in low)
    prepared = prepared and all(encode(slow, slow.high, pictures, frame) for frame in high)
    if not prepared:
        return None
    encoded_ns = robot_time_ns()
    gap_ns = widest_gap_ns([FrameTime(frame.seq, frame.capture_ns) for frame in low])
    tokens = slow.encode_video([f.seq for f in high], [f.seq for f in low], embeddings(inputs.embedding.key))
    run, system1_epoch = _run_of(inputs.system1)
    # After a restart or a new episode there is no previous start to be late against.
    late = run - state.run - tuning.ratio(config.settings, inputs.episode) if trigger == "ratio" else 0
    state.run, state.system1_epoch = run, system1_epoch
    state.episode, state.instruction = inputs.episode.number, inputs.instruction.number
    state.capture_ns = high[-1].capture_ns
    state.published += 1
    return messages.Conditions(
        seq=state.published - 1,
        epoch=epoch,
        stamp_ns=now_ns,
        episode=inputs.episode.number,
        inputs=references(inputs, chosen),
        spatial=to_wire(tokens.spatial),
        motion=to_wire(tokens.motion),
        high_frames=tuple(frame.seq for frame in high),
        low_frames=tuple(frame.seq for frame in low),
        capture_ns=high[-1].capture_ns,
        widest_gap_ns=gap_ns,
        instruction=inputs.instruction.number,
        checkpoint_id=config.checkpoint_id,
        trigger_run=run,
        trigger=trigger,
        late_runs=late,
        spatial_map=to_map(tokens.spatial_map),
        motion_map=to_map(tokens.motion_map),
        timing=messages.Timing(
            finished_ns=robot_time_ns(), prepare_ns=encoded_ns - now_ns, forward_ns=robot_time_ns() - encoded_ns
        ),
    )


def references(inputs: System2Inputs, chosen: Windows) -> tuple[messages.InputRef, ...]:
    """Everything that was consumed, in order: states, then the frames of both windows, each once."""
    states = (inputs.episode, inputs.instruction, inputs.embedding, inputs.system1)
    frames = sorted(
        {frame.seq: frame for frame in (*chosen.before, *chosen.low, *chosen.high)}.values(),
        key=lambda frame: frame.seq,
    )
    return topics.references(*states, *frames)


def encode(slow: SlowSystem, ring: LatentRing, pictures: PictureSource, frame: messages.Frame) -> bool:
    """Put one frame's latent into a ring of the slow system. False when its picture is gone."""
    if frame.seq in ring:
        return True
    picture = pictures(HEAD, frame.seq)
    if picture is None:
        return False
    slow.encode(ring, frame.seq, picture)
    return True


def gather(held: dict[str, messages.Message], frames: tuple[messages.Frame, ...]) -> System2Inputs | None:
    """The newest messages as a step's inputs; None while a state is still unknown."""
    episode, instruction, embedding = (held.get(name) for name in ("episode", "instruction", "embedding"))
    if not (
        isinstance(episode, messages.Episode)
        and isinstance(instruction, messages.Instruction)
        and isinstance(embedding, messages.Embedding)
    ):
        return None
    made = [message for message in (held.get("chunk"), held.get("skip")) if message is not None]
    newest = max(made, key=lambda message: message.stamp_ns, default=None)
    return System2Inputs(episode, instruction, embedding, newest, frames)


def _run_of(message: messages.Message | None) -> tuple[int, int]:
    """System 1's run number and epoch; before its first chunk the run counts as 0."""
    if isinstance(message, messages.ActionChunk):
        return message.run, message.epoch
    return 0, message.epoch if message is not None else 0


def _refresh_ns(settings: Settings, state: System2State, system1: messages.Message | None, ratio: int) -> int:
    """Age at which a condition is renewed although System 1 has not come n runs further.

    When System 1 made no chunk since, a fresh condition waits for its first. When it is only slow, the condition is
    renewed before it passes the limit that System 1 told; a shorter age would bend the ratio.
    """
    period_s = settings.system1.period_s
    if not isinstance(system1, messages.ActionChunk) or system1.run <= state.run:
        return seconds((ratio + 1) * period_s)
    return max(seconds((ratio + 2) * period_s), system1.conditions_limit_ns * 3 // 4)
