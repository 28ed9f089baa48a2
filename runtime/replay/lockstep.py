"""Lockstep replay: a session's recorded inputs, in their recorded pairing, through the real step functions.
Called by command.py; what-if uses its index. This is the regression test of the runtime.

Every output names what it consumed, so each step is fed exactly that; what it makes must be the recorded bytes. Only what
was measured while a step ran (timing, arrivals) is taken from the record.
"""

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from runtime.arms import state as arms_state
from runtime.arms import step as arms_step
from runtime.config.settings import Settings, settings_from_json
from runtime.errors import RuntimeFault, SessionError, SettingsError
from runtime.host.revision import revision
from runtime.messaging import messages
from runtime.policy.networks import fast_system, open_checkpoint, prepare_torch, slow_system
from runtime.policy.protocols import EncodedInstruction
from runtime.policy.video2act import read_instruction
from runtime.process import snapshot
from runtime.process.role import Role
from runtime.replay import tracker_step
from runtime.session.format import EMBEDDING_SUFFIX
from runtime.session.reader import Session, decode_all
from runtime.systems import system1_step, system2_step
from runtime.systems.system1_state import System1Config, System1Inputs, System1State
from runtime.systems.system2_state import System2Config, System2Inputs, System2State

_SENTENCES: dict[type[messages.Message], tuple[str, ...]] = {
    messages.SafetyState: ("reasons", "answer"),
    messages.Skip: ("reason",),
}
"""Fields for people, by message: another revision may word them otherwise, but gives as many."""
_ADDED: dict[type[messages.Message], tuple[str, ...]] = {messages.Conditions: ("covers",)}
"""Fields that a former schema did not hold, by message."""
STEPS = ("arm_target", "conditions", "chunk", "skip")
"""Topics of what is made again."""
Key = tuple[str, int, int]  # topic, epoch, seq
_Maker = Callable[
    [Any, messages.ActionChunk | messages.Skip], messages.Message
]  # from a state and a recorded output: that output, made again


class Missing(Exception):
    """An input that the session does not hold."""


@dataclass
class Count:
    """How many messages of one type were compared, differed or were missing."""

    compared: int = 0
    differing: int = 0
    not_comparable: int = 0
    first_difference: str = ""
    apart: float = (
        0.0  # largest difference between arrays, or numbers that are no counts; infinite where anything else differs
    )


@dataclass
class Report:
    """What a lockstep replay found, by message type."""

    counts: dict[str, Count] = field(default_factory=dict)
    reworded: int = 0  # messages that are equal but for their sentences, in a session of another revision
    passed: Callable[[], object] = lambda: None

    def count(self, kind: str) -> Count:
        """The counts of a message type; made at the first call."""
        return self.counts.setdefault(kind, Count())

    @property
    def identical(self) -> bool:
        """Whether chunks and arm commands were compared and nothing differed or was missing."""
        rows = self.counts.values()
        both = all(self.count(kind).compared for kind in ("ActionChunk", "ArmTarget"))
        return both and not any(row.differing or row.not_comparable for row in rows)


class Index:
    """A session's messages by topic, epoch and seq, and in order by topic."""

    def __init__(self, session: Session) -> None:
        self.session, present = session, revision()
        self.other_revision = not present or session.metadata.get("revision") != present
        self.messages: dict[Key, messages.Message] = {}
        self.payloads: dict[Key, bytes] = {}
        self.snapshots: dict[tuple[str, int], list[messages.Snapshot]] = {}
        for topic, message, payload in decode_all(session):
            if isinstance(message, messages.Snapshot):
                if not message.state:  # of a former schema
                    continue
                self.snapshots.setdefault((message.process, message.epoch), []).append(message)
                continue
            key = (topic, message.epoch, message.seq)
            self.messages[key], self.payloads[key] = message, payload

    def get(self, reference: messages.InputRef) -> messages.Message:
        """The message that a reference names. Raises Missing where it was not logged."""
        if reference not in self.messages:
            raise Missing(f"{reference[0]} {reference[2]}")
        return self.messages[reference]

    def of(self, *topics: str) -> dict[int, list[messages.Message]]:
        """All messages of some topics by epoch, in the order of their steps."""
        found: dict[int, list[messages.Message]] = {}
        for (topic, epoch, _), message in self.messages.items():
            if topic in topics:
                found.setdefault(epoch, []).append(message)
        for rows in found.values():
            rows.sort(key=lambda message: (message.stamp_ns, message.seq))
        return found


def replay(
    session: Session,
    moved: Callable[[Settings], Settings] = lambda settings: settings,
    passed: Callable[[], object] = lambda: None,
    only_arms: bool = False,
) -> Report:
    """Run the whole session again through the real steps, and compare.

    Args:
        session: As it was read.
        moved: Says where the session's policy is now.
        passed: Called for each message of STEPS that was made again.
        only_arms: From the logged chunks alone, for which no policy is needed.

    Raises:
        SessionError: Its policy is not at hand.
    """
    index, report = Index(session), Report(passed=passed)
    if "settings" not in session.metadata:
        raise SessionError(f"{session.path}: holds no settings; give a session that video2act recorded")
    try:
        settings = moved(settings_from_json(session.metadata["settings"]))
    except SettingsError as error:
        raise SessionError(f"{session.path}: its settings are of another version ({error})") from None
    role = Role.of_session(session.metadata)
    _replay_arms(index, settings, role.unfit, report)
    if only_arms:
        return report
    if role.tracks:
        _replay_tracker(index, settings, report)
        return report
    with tempfile.TemporaryDirectory(prefix="video2act-replay-") as folder:
        embeddings = StoredEmbeddings(session, Path(folder))
        _replay_system2(index, settings, embeddings, report)
        _replay_system1(index, settings, embeddings, report)
    return report


class StoredEmbeddings:
    """Encoded instructions out of a session's attachments."""

    def __init__(self, session: Session, folder: Path) -> None:
        self._session, self._folder = session, folder
        self._held: dict[str, EncodedInstruction] = {}

    def __call__(self, key: str) -> EncodedInstruction:
        """The embedding of a key, from the session. Raises Missing."""
        if key not in self._held:
            data = self._session.attachments.get(key + EMBEDDING_SUFFIX)
            if data is None:
                raise Missing(f"embedding {key}")
            path = self._folder / f"{key}.safetensors"
            path.write_bytes(data)
            try:
                self._held[key] = read_instruction(path)
            except RuntimeFault:
                raise Missing(f"embedding {key}") from None
        return self._held[key]


class _Walk:
    """The state of one process while its outputs are walked through; restored from snapshots after a gap."""

    def __init__(self, index: Index, process: str, epoch: int, classes: tuple[type, ...]) -> None:
        self._snapshots = list(index.snapshots.get((process, epoch), ()))
        self._classes = classes
        self.state: Any = None

    def lost(self) -> None:
        """Note that something could not be replayed: what follows needs a snapshot."""
        self.state = None

    def restore(self, after_seq: int) -> bool:
        """Use the snapshot taken right after output `after_seq`, if there is one and the state is lost. Returns whether it
        did.
        """
        for message in self._snapshots:
            if self.state is None and message.after_seq == after_seq:
                self.state = snapshot.unpack(message.state, self._classes)
                return True
        return False


def _replay_arms(index: Index, settings: Settings, unfit: str, report: Report) -> None:
    config = arms_state.ArmsConfig.of(settings, unfit)
    for epoch, targets in index.of("arm_target").items():
        walk, count = _Walk(index, "arms", epoch, arms_state.SAVED), report.count("ArmTarget")
        for recorded in targets:
            report.passed()
            assert isinstance(recorded, messages.ArmTarget)
            try:
                inputs = _arms_inputs(index, recorded)
                if recorded.seq == 0:
                    walk.state = arms_state.start(config, inputs.feedback, recorded.stamp_ns, restarted=epoch > 1)
                if walk.state is None:
                    raise Missing("memory")
                if walk.state.ticks != recorded.seq:
                    raise Missing(f"arm_target {walk.state.ticks}")
            except Missing:
                walk.lost()
                count.not_comparable += 1
                walk.restore(recorded.seq)
                continue
            made = arms_step.step(config, walk.state, inputs, epoch, recorded.stamp_ns)
            target = made.target.model_copy(update={"arrivals": recorded.arrivals})
            _compare(index, ("arm_target", epoch, recorded.seq), target, report)
            if made.state is not None:
                _compare(index, ("safety", epoch, made.state.seq), made.state, report)


def _arms_inputs(index: Index, recorded: messages.ArmTarget) -> arms_state.ArmsInputs:
    feedback, *others = (index.get(reference) for reference in recorded.inputs)
    assert isinstance(feedback, messages.JointState)
    return arms_state.ArmsInputs(feedback, tuple(others), recorded.refused, recorded.deadline_ns)


def _replay_system2(index: Index, settings: Settings, embeddings: StoredEmbeddings, report: Report) -> None:
    prepare_torch(settings.system2)
    checkpoint = open_checkpoint(settings)
    for epoch, recorded in index.of("conditions").items():
        slow = slow_system(settings, checkpoint)
        config = System2Config(settings, slow, checkpoint.id)
        walk = _Walk(index, "system2", epoch, (System2State,))
        for conditions in recorded:
            report.passed()
            assert isinstance(conditions, messages.Conditions)
            _check_policy(conditions.checkpoint_id, checkpoint.id)
            if conditions.seq == 0:
                walk.state = System2State()
            try:
                inputs = _system2_inputs(index, conditions, config.cameras)
                if walk.state is None or walk.state.published != conditions.seq:
                    raise Missing("memory")
                made = system2_step.step(
                    config, walk.state, inputs, _Pictures(index.session), embeddings, epoch, conditions.stamp_ns
                )
            except Missing:
                walk.lost()
                report.count("Conditions").not_comparable += 1
                walk.restore(conditions.seq)
                continue
            made = made and made.model_copy(update={"timing": conditions.timing})
            _compare(index, ("conditions", epoch, conditions.seq), made, report)


def _system2_inputs(index: Index, recorded: messages.Conditions, cameras: Sequence[str]) -> System2Inputs:
    held = _by_topic(index, recorded)
    frames = [m for m in _consumed(index, recorded.inputs) if isinstance(m, messages.Frame)]
    by_camera = {camera: [frame for frame in frames if frame.camera == camera] for camera in cameras}
    inputs = system2_step.gather(held, by_camera)
    if inputs is None:
        raise Missing("episode or instruction")
    return inputs


def _replay_system1(index: Index, settings: Settings, embeddings: StoredEmbeddings, report: Report) -> None:
    prepare_torch(settings.system1)
    checkpoint = open_checkpoint(settings)

    def begin(epoch: int) -> _Maker:
        config = System1Config(settings, fast_system(settings, checkpoint), checkpoint.id)
        pictures = _Pictures(index.session)
        return lambda state, output: system1_step.step(
            config,
            state,
            _system1_inputs(index, output, len(config.fast.needs.cameras)),
            pictures,
            embeddings,
            epoch,
            output.stamp_ns,
        )

    _replay_chunks(index, System1State, begin, report)


def _replay_tracker(index: Index, settings: Settings, report: Report) -> None:
    """Replay what took System 1's place; the way that it followed lies beside the file."""
    config = tracker_step.TrackerConfig(settings, tracker_step.load(index.session.path.parent / tracker_step.FILE_NAME))

    def begin(epoch: int) -> _Maker:
        return lambda state, output: tracker_step.step(
            config, state, _tracker_inputs(index, output), epoch, output.stamp_ns
        )

    _replay_chunks(index, tracker_step.TrackerState, begin, report)


def _replay_chunks(index: Index, fresh: type, begin: Callable[[int], _Maker], report: Report) -> None:
    """Replay all chunks and skips. `begin` gives the maker of an epoch's outputs, `fresh` is its state's class."""
    for epoch, recorded in index.of("chunk", "skip").items():
        make, walk = begin(epoch), _Walk(index, "system1", epoch, (fresh,))
        if recorded[0].seq == 0:
            walk.state = fresh()
        for output in recorded:
            report.passed()
            assert isinstance(output, messages.ActionChunk | messages.Skip)
            topic = "chunk" if isinstance(output, messages.ActionChunk) else "skip"
            try:
                if walk.state is None or _made(walk.state, output) != output.seq:
                    raise Missing("memory")
                made = make(walk.state, output)
            except Missing:
                walk.lost()
                report.count(type(output).__name__).not_comparable += 1
                if topic == "chunk":
                    walk.restore(output.seq)
                continue
            if isinstance(made, messages.ActionChunk) and isinstance(output, messages.ActionChunk):
                made = made.model_copy(update={"timing": output.timing})
            _compare(index, (topic, epoch, output.seq), made, report)


def _made(state: Any, output: messages.Message) -> int:
    return state.run if isinstance(output, messages.ActionChunk) else state.skips


def _system1_inputs(index: Index, recorded: messages.ActionChunk | messages.Skip, cameras: int) -> System1Inputs:
    frames = tuple(m for m in _consumed(index, recorded.inputs) if isinstance(m, messages.Frame))
    sets = tuple(frames[place : place + cameras] for place in range(0, len(frames), cameras))
    inputs = system1_step.inputs_of(_by_topic(index, recorded), sets)
    if inputs is None:
        raise Missing("episode or instruction")
    return inputs


def _tracker_inputs(index: Index, recorded: messages.ActionChunk | messages.Skip) -> tracker_step.TrackerInputs:
    inputs = tracker_step.inputs_of(_by_topic(index, recorded))
    if inputs is None:
        raise Missing("episode or instruction")
    return inputs


class _Pictures:
    """Pixels out of the session. Raises Missing, so that a lost picture is not taken for a skipped run."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, camera: str, number: int) -> Any:
        picture = self._session.picture(camera, number)
        if picture is None:
            raise Missing(f"picture {number} of {camera}")
        return picture


def _consumed(index: Index, references: tuple[messages.InputRef, ...]) -> Iterator[messages.Message]:
    return (index.get(reference) for reference in references)


def _by_topic(index: Index, recorded: messages.Episodic) -> dict[str, messages.Message]:
    return {
        reference[0]: index.get(reference) for reference in recorded.inputs if not reference[0].startswith("frame.")
    }


def _check_policy(recorded: str, here: str) -> None:
    if recorded != here:
        raise SessionError(
            f"checkpoint: the session used {recorded}, got {here}; give --policy.checkpoint of the same version"
        )


def _compare(index: Index, key: Key, made: messages.Message | None, report: Report) -> None:
    """Compare the bytes of an output that was made again; a difference is counted, and the first one described."""
    recorded = index.payloads.get(key)
    kind = type(index.messages[key]).__name__ if key in index.messages else type(made).__name__
    count = report.count(kind)
    if recorded is None:
        count.not_comparable += 1
        return
    count.compared += 1
    if made is not None and index.session.former:
        made = _replaced(made, index.messages[key], _ADDED)
    if made is not None and messages.encode(made) == recorded:
        return
    if made is not None and index.other_revision:
        made = _replaced(made, index.messages[key], _SENTENCES)
        if messages.encode(made) == recorded:
            report.reworded += 1
            return
    count.differing += 1
    count.apart = max(count.apart, _apart(index.messages[key], made))
    if not count.first_difference:
        count.first_difference = f"{kind} {key[2]} (epoch {key[1]}): {_describe(index.messages[key], made)}"


def _replaced(
    made: messages.Message, recorded: messages.Message, fields: dict[type[messages.Message], tuple[str, ...]]
) -> messages.Message:
    """With some fields of the recorded message; sentences only where as many were said, or something was."""
    names = fields.get(type(made), ()) if type(made) is type(recorded) else ()
    taken = {name: (getattr(made, name), getattr(recorded, name)) for name in names}
    return made.model_copy(update={name: b for name, (a, b) in taken.items() if fields is _ADDED or _alike(a, b)})


def _alike(made: str | tuple[str, ...], recorded: str | tuple[str, ...]) -> bool:
    """Whether both say nothing, or both one thing, or both as many."""
    return bool(made) == bool(recorded) if isinstance(made, str) else len(made) == len(recorded)


def _apart(recorded: messages.Message, made: messages.Message | None) -> float:
    """How far two messages are from each other in their arrays and measures; infinite where they differ otherwise."""
    if type(made) is not type(recorded):
        return math.inf
    most = 0.0
    for name in type(recorded).model_fields:
        a, b = getattr(recorded, name), getattr(made, name)
        if hasattr(a, "shape") and a.shape == b.shape:
            most = max(most, float(np.abs(a.astype(float) - b.astype(float)).max(initial=0.0)))
        elif isinstance(a, float):
            most = max(most, abs(a - b))
        elif hasattr(a, "shape") or a != b:
            return math.inf
    return most


def _describe(recorded: messages.Message, made: messages.Message | None) -> str:
    if made is None:
        return "the replay gave nothing"
    if type(made) is not type(recorded):
        return f"the replay gave a {type(made).__name__}"
    for name in type(recorded).model_fields:
        a, b = getattr(recorded, name), getattr(made, name)
        if hasattr(a, "shape"):
            if a.tobytes() != b.tobytes():
                return f"{name} differs by up to {torch.tensor(a.astype(float) - b.astype(float)).abs().max():.3g}"
        elif a != b:
            return f"{name}: recorded {a!r:.60}, replayed {b!r:.60}"
    return "only the encoding differs"
