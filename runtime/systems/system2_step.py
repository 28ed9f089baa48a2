"""One condition of System 2: whether one is due, and its tokens. Deterministic.
Called by system2.py, the virtual clock and the replay.

When one is due says trigger.py, which frames its windows hold video_windows.py. The policy is known by its protocol alone
(runtime/policy/protocols.py).
"""

from collections.abc import Callable, Mapping, Sequence

from models.requirements import VideoWindow
from models.window import FrameTime, widest_gap_ns
from runtime.config import live_tuning
from runtime.host.clock import robot_time_ns
from runtime.messaging import messages, topics
from runtime.policy.protocols import EncodedInstruction, SlowPolicy, Understanding
from runtime.systems.frame_sets import PictureSource
from runtime.systems.system2_state import System2Config, System2Inputs, System2State
from runtime.systems.trigger import Trigger, decide, run_of
from runtime.systems.video_windows import Windows, windows


def step(
    config: System2Config,
    state: System2State,
    inputs: System2Inputs,
    pictures: PictureSource,
    embeddings: Callable[[str], EncodedInstruction],
    epoch: int,
    now_ns: int,
) -> messages.Conditions | None:
    """One condition, if one is due.

    Args:
        config: Settings and policy.
        state: Changed in place where a condition is made.
        inputs: The newest messages, and notices by camera.
        pictures: Gives a frame's pixels, or None when it is gone.
        embeddings: Gives an encoded instruction by its key.
        epoch: Of this process.
        now_ns: When the step began, CLOCK_MONOTONIC.

    Returns:
        None when none is due, its frames are not there, its instruction is not encoded, or the policy has no slow system.
    """
    if not config.windows:
        return None
    trigger = decide(config, state, inputs, now_ns)
    chosen = windows(config, inputs) if trigger is not None else None
    if trigger is None or chosen is None or inputs.embedding.instruction != inputs.instruction.number:
        return None
    if not _encoded(config, chosen, pictures):
        return None
    encoded_ns = robot_time_ns()
    numbers = {name: [frame.seq for frame in frames] for name, frames in chosen.frames.items()}
    understood = config.slow.encode_video(numbers, embeddings(inputs.embedding.key))
    finished_ns = robot_time_ns()
    late = _begin(config, state, inputs, trigger)
    state.capture_ns = max(frames[-1].capture_ns for frames in chosen.frames.values())
    timing = messages.Timing(
        finished_ns=finished_ns, prepare_ns=encoded_ns - now_ns, forward_ns=finished_ns - encoded_ns
    )
    return _conditions(config, state, inputs, chosen, understood, trigger, late, timing, epoch, now_ns)


def _encoded(config: System2Config, chosen: Windows, pictures: PictureSource) -> bool:
    """Have all frames of the windows encoded. Returns False when a picture is gone."""
    return all(
        encode(config.slow, window, pictures, frame)
        for window in config.windows
        for frame in chosen.frames[window.name]
    )


def _conditions(
    config: System2Config,
    state: System2State,
    inputs: System2Inputs,
    chosen: Windows,
    understood: Understanding,
    trigger: Trigger,
    late: int,
    timing: messages.Timing,
    epoch: int,
    now_ns: int,
) -> messages.Conditions:
    """The message of what was understood, with the number that `state.published` counts."""
    numbers = {name: tuple(frame.seq for frame in frames) for name, frames in chosen.frames.items()}
    longest = chosen.frames[config.longest]
    return messages.Conditions(
        seq=state.published - 1,
        epoch=epoch,
        stamp_ns=now_ns,
        episode=inputs.episode.number,
        inputs=references(inputs, chosen),
        arrays=understood.arrays,
        windows=tuple(
            messages.Window(name=window.name, camera=window.camera, frames=numbers[window.name])
            for window in config.windows
        ),
        capture_ns=state.capture_ns,
        widest_gap_ns=widest_gap_ns([FrameTime(frame.seq, frame.capture_ns) for frame in longest]),
        instruction=inputs.instruction.number,
        checkpoint_id=config.checkpoint_id,
        trigger_run=state.run,
        trigger=trigger,
        late_runs=late,
        maps=understood.maps,
        covers=understood.covers,
        timing=timing,
    )


def _begin(config: System2Config, state: System2State, inputs: System2Inputs, trigger: Trigger) -> int:
    """Note for which run, episode and instruction a condition is made. Returns by how many runs of System 1 it is late.

    After a restart or a new episode there is no previous start to be late against.
    """
    run, system1_epoch = run_of(inputs.system1)
    late = run - state.run - live_tuning.ratio(config.settings, inputs.episode) if trigger == "ratio" else 0
    state.run, state.system1_epoch = run, system1_epoch
    state.episode, state.instruction = inputs.episode.number, inputs.instruction.number
    state.published += 1
    return late


def references(inputs: System2Inputs, chosen: Windows) -> tuple[messages.InputRef, ...]:
    """Everything that was consumed, in order: states, then the frames of all windows by camera and number, each once."""
    states = (inputs.episode, inputs.instruction, inputs.embedding, inputs.system1)
    seen = (*chosen.before, *(frame for frames in chosen.frames.values() for frame in frames))
    cameras = list(inputs.frames)
    frames = sorted(
        {(frame.camera, frame.seq): frame for frame in seen}.values(),
        key=lambda frame: (cameras.index(frame.camera), frame.seq),
    )
    return topics.references(*states, *frames)


def encode(slow: SlowPolicy, window: VideoWindow, pictures: PictureSource, frame: messages.Frame) -> bool:
    """Have one frame encoded for a window, unless it is. Returns False when its picture is gone."""
    if slow.has_frame(window.name, frame.seq):
        return True
    picture = pictures(frame.camera, frame.seq)
    if picture is None:
        return False
    slow.encode_frame(window.name, frame.seq, picture)
    return True


def gather(held: dict[str, messages.Message], frames: Mapping[str, Sequence[messages.Frame]]) -> System2Inputs | None:
    """A step's inputs.

    Args:
        held: The newest message of each topic.
        frames: Notices by camera, oldest first.

    Returns:
        None while episode, instruction or embedding is unknown.
    """
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
