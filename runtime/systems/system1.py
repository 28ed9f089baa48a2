"""System 1, the fast process: newest frames, joints and conditions in, a chunk of joint targets out, every period.
Started by the supervisor (runtime/process/base.py); the virtual clock uses its rules, a benchmark its loop.

A run starts with the first complete set of frames at or after its due time, so no time is lost between picture and chunk.
What a run does is in runtime/systems/system1_step.py.
"""

from collections.abc import Callable, Mapping

from models.requirements import Requirements
from runtime.config import live_tuning
from runtime.config.settings import Settings
from runtime.host.clock import robot_time_ns, seconds
from runtime.messaging import messages
from runtime.messaging.subscriber import Subscriber
from runtime.policy import opening
from runtime.policy.protocols import EncodedInstruction, FastPolicy
from runtime.process.base import Process, log
from runtime.process.snapshot import Snapshots
from runtime.systems.frame_sets import FrameSet, History, PictureSource, RingPictures, nearest_set, newest_set
from runtime.systems.system1_state import System1Config, System1Inputs, System1State
from runtime.systems.system1_step import encode_ahead, inputs_of, make_ahead, step

_POLL_S = 0.05
"""Longest wait for messages; chosen: as often as the heartbeat is sent, which tells that the loop comes round."""


def main(process: Process) -> None:
    """Open the policy and make a run for every due set of frames, until asked to end."""
    with opening.fast_policy(process) as opened:
        log.info("policy %s, %d weights", opened.checkpoint_id, opened.fast.weights)
        serve(process, System1Config(process.settings, opened.fast, opened.checkpoint_id), opened.embeddings)


def serve(process: Process, config: System1Config, embeddings: Callable[[str], EncodedInstruction]) -> None:
    """The loop of System 1, also for a policy that is none of a checkpoint's (runtime/bench/stand_in.py).

    Args:
        process: Its bus, settings and end.
        config: The policy, ready to run.
        embeddings: Gives an encoded instruction by its key.
    """
    settings, bus, needs = process.settings, process.bus, config.fast.needs
    frames = [bus.subscriber(f"frame.{camera}", depth=64) for camera in needs.cameras]
    names = ("episode", "instruction", "embedding", "conditions", "joint_state")
    states = {name: bus.subscriber(name, newest=name != "conditions") for name in names}
    joints = states.pop("joint_state")  # 200 a second, of which a run needs one
    chunks, skips = process.publisher("chunk"), process.publisher("skip")
    snapshots = Snapshots(process)
    pictures, history, state = RingPictures(process.folder), History(needs.cameras), System1State()
    held: dict[str, messages.Message] = {}
    last, due_ns = (0,) * len(needs.cameras), 0  # the first complete set begins the rhythm
    process.settle(settings.system1.nice)
    while process.running:
        process.stepped()
        bus.drain([*states.values(), *frames], _POLL_S)
        # States before frames: when the last of a set comes, little is left to do.
        _take_states(states, held, config.fast, embeddings)
        notices = [received.message for subscriber in frames for received in subscriber.taken()]
        for notice in notices:
            history.add(notice)
        if (
            not notices and settings.pacing != "serial"
        ):  # a run begins with a picture; a serial one also with a condition
            continue
        newest = newest_set(history.notices)
        if not due(settings, newest, due_ns, last):
            _encode_older_sets(config.fast, settings, history, newest, due_ns, pictures)
            continue
        for received in joints.take():
            held["joint_state"] = received.message
        inputs = gather(held, needs, history, newest)
        if inputs is None or waits_for_system2(settings, state, inputs):
            continue
        started_ns = robot_time_ns()
        made = step(config, state, inputs, pictures, embeddings, process.epoch, started_ns)
        (chunks if isinstance(made, messages.ActionChunk) else skips).send(made)
        last, due_ns = tuple(frame.seq for frame in newest), next_due(settings, inputs.episode, due_ns, started_ns)
        if isinstance(made, messages.ActionChunk):
            snapshots.keep(made.seq, state)


def _take_states(
    states: Mapping[str, Subscriber],
    held: dict[str, messages.Message],
    fast: FastPolicy,
    embeddings: Callable[[str], EncodedInstruction],
) -> None:
    """Hold the newest messages, by topic, and make ready what the policy can make of them before a run."""
    for name, subscriber in states.items():
        for received in subscriber.taken():
            if isinstance(received.message, messages.Conditions) and not newer(received.message, held.get(name)):
                continue
            held[name] = received.message
            make_ahead(fast, received.message, embeddings)


def _encode_older_sets(
    fast: FastPolicy, settings: Settings, history: History, newest: FrameSet, due_ns: int, pictures: PictureSource
) -> None:
    """Encode what the next run will look back at, while none is due."""
    if settings.shift == "blackout":  # which of them are black follows from the episode
        return
    for older in older_sets_ahead(settings, fast.needs, history, newest, due_ns):
        encode_ahead(fast, older, pictures)


def newer(conditions: messages.Conditions, held: messages.Message | None) -> bool:
    """Whether conditions take the place of those that are held: they may come twice, or behind newer ones."""
    return held is None or (conditions.epoch, conditions.seq) > (held.epoch, held.seq)


def gather(
    held: dict[str, messages.Message], needs: Requirements, history: History, newest: FrameSet
) -> System1Inputs | None:
    """The newest messages as a step's inputs, with the sets nearest the ages of `needs.history_s`.

    Returns:
        None while episode or instruction is unknown.
    """
    capture_ns = max(frame.capture_ns for frame in newest)
    older = (nearest_set(history.notices, capture_ns - seconds(age_s)) for age_s in needs.history_s[:-1])
    return inputs_of(held, (*older, newest))


def due(settings: Settings, frames: FrameSet, due_ns: int, last: tuple[int, ...]) -> bool:
    """Whether a run starts with this set: it is complete, new in every camera, and its time has come.

    Half a frame's time of grace keeps the period from beating against the cameras' rhythm.

    Args:
        settings: Their head camera's rate is the rhythm.
        frames: The newest set; empty: incomplete.
        due_ns: When the next run is due.
        last: The frame numbers of the last run, a camera each.
    """
    if not frames or any(frame.seq <= number for frame, number in zip(frames, last, strict=True)):
        return False
    half_frame_ns = seconds(0.5 / settings.cameras.head.rate_hz)
    return max(frame.returned_ns for frame in frames) >= due_ns - half_frame_ns


def next_due(settings: Settings, episode: messages.Episode, due_ns: int, started_ns: int) -> int:
    """When the run after one that was due at `due_ns` and began at `started_ns` is due, ns.

    A run that began more than a frame late starts the rhythm again: the next ones do not hurry.
    """
    frame_ns = seconds(1 / settings.cameras.head.rate_hz)
    return (started_ns if started_ns - due_ns > frame_ns else due_ns) + live_tuning.period_ns(settings, episode)


def older_sets_ahead(
    settings: Settings, needs: Requirements, history: History, newest: FrameSet, due_ns: int
) -> tuple[FrameSet, ...]:
    """The sets that the next run will look back at and that are there already, so that they can be encoded before it is due.

    The next run's frames are foreseen from the cameras' rhythm; a wrong guess costs only the encoding.
    """
    if not newest:
        return ()
    frame_ns = seconds(1 / settings.cameras.head.rate_hz)
    returned_ns, capture_ns = max(f.returned_ns for f in newest), max(f.capture_ns for f in newest)
    frames_ahead = max(1, -(-(due_ns - frame_ns // 2 - returned_ns) // frame_ns))
    sets: list[FrameSet] = []
    for age_s in needs.history_s[:-1]:
        wanted_ns = capture_ns + frames_ahead * frame_ns - seconds(age_s)
        found = nearest_set(history.notices, wanted_ns)
        if all(abs(frame.capture_ns - wanted_ns) < frame_ns // 2 for frame in found):
            sets.append(found)
    return tuple(sets)


def waits_for_system2(settings: Settings, state: System1State, inputs: System1Inputs) -> bool:
    """Whether System 1 has to wait for a condition made since n runs: in serial pacing only (the paper's 1:1)."""
    if settings.pacing != "serial" or inputs.conditions is None:
        return False
    return state.run - inputs.conditions.trigger_run >= live_tuning.ratio(settings, inputs.episode)
