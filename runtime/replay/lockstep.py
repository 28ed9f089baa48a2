"""Lockstep replay: a session's recorded inputs, in their recorded pairing, through the real step functions.
Called by command.py; what-if uses its index. This is the regression test of the runtime.

Every output names what it consumed, so each step is fed exactly that; what it makes must be the recorded bytes. Only what
was measured while a step ran (timing, arrivals) is taken from the record.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from runtime.arms import state as arms_state
from runtime.arms import step as arms_step
from runtime.config.settings import Settings, settings_from_json
from runtime.errors import RuntimeFault, SessionError, SettingsError
from runtime.messaging import messages
from runtime.policy.networks import fast_system, open_checkpoint, prepare_torch, slow_system
from runtime.policy.protocols import EncodedInstruction
from runtime.policy.video2act import read_instruction
from runtime.process import snapshot
from runtime.process.role import Role
from runtime.replay import tracker_step
from runtime.replay.comparison import Report, compare
from runtime.replay.index import Index, Missing
from runtime.session.format import EMBEDDING_SUFFIX
from runtime.session.reader import Session
from runtime.systems import system1_step, system2_step
from runtime.systems.system1_state import System1Config, System1Inputs, System1State
from runtime.systems.system2_state import System2Config, System2Inputs, System2State

STEPS = ("arm_target", "conditions", "chunk", "skip")
"""Topics of what is made again."""
_Maker = Callable[
    [Any, messages.ActionChunk | messages.Skip], messages.Message
]  # from a state and a recorded output: that output, made again


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
            compare(index, ("arm_target", epoch, recorded.seq), target, report)
            if made.state is not None:
                compare(index, ("safety", epoch, made.state.seq), made.state, report)


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
            compare(index, ("conditions", epoch, conditions.seq), made, report)


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
            compare(index, (topic, epoch, output.seq), made, report)


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
