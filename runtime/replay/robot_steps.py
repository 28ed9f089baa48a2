"""The steps of the arms and of the tracker, as a replay calls them: they need no policy. Called by lockstep.py."""

from runtime.arms import state as arms_state
from runtime.arms import step as arms_step
from runtime.config.settings import Settings
from runtime.messaging import messages
from runtime.replay import tracker_step
from runtime.replay.index import Index, Missing
from runtime.replay.stretch import Made, consumed, states_consumed


class ArmsSteps:
    """One life of `arms`, from the logged chunks."""

    classes = arms_state.SAVED

    def __init__(self, index: Index, settings: Settings, unfit: str, epoch: int) -> None:
        self._index, self._epoch = index, epoch
        self._config = arms_state.ArmsConfig.of(settings, unfit)

    def fresh(self, first: messages.ArmTarget) -> arms_state.ArmsState:
        feedback = self._inputs(first).feedback
        return arms_state.start(self._config, feedback, first.stamp_ns, restarted=self._epoch > 1)

    def next_seq(self, state: arms_state.ArmsState, recorded: messages.ArmTarget) -> int:
        return state.ticks

    def make(self, state: arms_state.ArmsState, recorded: messages.ArmTarget) -> Made:
        made = arms_step.step(self._config, state, self._inputs(recorded), self._epoch, recorded.stamp_ns)
        target = made.target.model_copy(update={"arrivals": recorded.arrivals})
        said = (("arm_target", self._epoch, recorded.seq), target)
        return (said,) if made.state is None else (said, (("safety", self._epoch, made.state.seq), made.state))

    def _inputs(self, recorded: messages.ArmTarget) -> arms_state.ArmsInputs:
        inputs = consumed(self._index, recorded)
        if not inputs or not isinstance(inputs[0], messages.JointState):  # no arms of ours wrote it
            raise Missing("joint_state")
        return arms_state.ArmsInputs(inputs[0], inputs[1:], recorded.refused, recorded.deadline_ns)


class TrackerSteps:
    """One life of what took System 1's place; the way that it followed lies beside the session's file."""

    classes = (tracker_step.TrackerState,)

    def __init__(self, index: Index, settings: Settings, epoch: int) -> None:
        self._index, self._epoch = index, epoch
        way = tracker_step.load(index.session.path.parent / tracker_step.FILE_NAME)
        self._config = tracker_step.TrackerConfig(settings, way)

    def fresh(self, first: messages.Message) -> tracker_step.TrackerState:
        return tracker_step.TrackerState()

    def next_seq(self, state: tracker_step.TrackerState, recorded: messages.Message) -> int:
        return state.run if isinstance(recorded, messages.ActionChunk) else state.skips

    def make(self, state: tracker_step.TrackerState, recorded: messages.ActionChunk | messages.Skip) -> Made:
        inputs = tracker_step.inputs_of(states_consumed(self._index, recorded))
        if inputs is None:
            raise Missing("episode or instruction")
        return chunk_made(recorded, tracker_step.step(self._config, state, inputs, self._epoch, recorded.stamp_ns))


def chunk_made(recorded: messages.ActionChunk | messages.Skip, made: messages.ActionChunk | messages.Skip) -> Made:
    """A chunk or skip made again, with the recorded time that it took."""
    topic = "chunk" if isinstance(recorded, messages.ActionChunk) else "skip"
    if isinstance(made, messages.ActionChunk) and isinstance(recorded, messages.ActionChunk):
        made = made.model_copy(update={"timing": recorded.timing})
    return (((topic, recorded.epoch, recorded.seq), made),)
