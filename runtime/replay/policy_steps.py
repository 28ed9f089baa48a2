"""The steps of both systems, as a replay calls them: they need the session's policy. Called by lockstep.py."""

from pathlib import Path
from typing import Any

from runtime.config.policy import policy_id, policy_needs
from runtime.config.settings import Settings
from runtime.errors import SessionError
from runtime.messaging import messages
from runtime.policy.networks import fast_system, open_checkpoint, prepare_torch, slow_system
from runtime.replay.index import Index, Missing
from runtime.replay.recorded_policy import RecordedPolicy
from runtime.replay.robot_steps import chunk_made
from runtime.replay.stored_embeddings import StoredEmbeddings
from runtime.replay.stretch import Made, consumed, states_consumed
from runtime.session.reader import Session
from runtime.systems import system1_step, system2_step
from runtime.systems.expectation import imagined
from runtime.systems.system1_state import System1Config, System1Inputs, System1State
from runtime.systems.system2_state import System2Config, System2Inputs, System2State


class _PolicySteps:
    """What the steps of both systems read: the session's messages, pictures and encoded instructions."""

    def __init__(self, index: Index, folder: Path, epoch: int) -> None:
        self._index, self._epoch = index, epoch
        self._pictures, self._embeddings = _Pictures(index.session), StoredEmbeddings(index.session, folder)

    def _frames(self, recorded: messages.Episodic) -> tuple[messages.Frame, ...]:
        return tuple(message for message in consumed(self._index, recorded) if isinstance(message, messages.Frame))


class System2Steps(_PolicySteps):
    """One life of System 2."""

    classes = (System2State,)

    def __init__(self, index: Index, settings: Settings, folder: Path, epoch: int) -> None:
        super().__init__(index, folder, epoch)
        prepare_torch(settings.system2)
        checkpoint = open_checkpoint(settings)
        self._config = System2Config(settings, slow_system(settings, checkpoint), checkpoint.id)

    def fresh(self, first: messages.Message) -> System2State:
        return System2State()

    def next_seq(self, state: System2State, recorded: messages.Message) -> int:
        return state.published

    def make(self, state: System2State, recorded: messages.Conditions) -> Made:
        if recorded.checkpoint_id != self._config.checkpoint_id:
            raise SessionError(
                f"checkpoint: the session used {recorded.checkpoint_id}, got {self._config.checkpoint_id}; give "
                "--policy.checkpoint of the same version"
            )
        inputs = self._inputs(recorded)
        made = system2_step.step(
            self._config, state, inputs, self._pictures, self._embeddings, self._epoch, recorded.stamp_ns
        )
        made = made and made.model_copy(update={"timing": recorded.timing})
        return ((("conditions", self._epoch, recorded.seq), made), *self._shown(recorded))

    def _shown(self, recorded: messages.Conditions) -> Made:
        """What the policy expects to see after these conditions, where the session has it."""
        key = ("imagined", self._epoch, recorded.seq)
        there = self._index.messages.get(key)
        if not isinstance(there, messages.Imagined):
            return ()
        before = states_consumed(self._index, there).get("imagined")
        draw = self._config.slow.expected()
        if draw is None:
            return ((key, None),)
        assert before is None or isinstance(before, messages.Imagined)
        return ((key, imagined(recorded, draw(), before, self._epoch, there.stamp_ns)),)

    def _inputs(self, recorded: messages.Conditions) -> System2Inputs:
        frames = self._frames(recorded)
        by_camera = {name: [frame for frame in frames if frame.camera == name] for name in self._config.cameras}
        inputs = system2_step.gather(states_consumed(self._index, recorded), by_camera)
        if inputs is None:
            raise Missing("episode or instruction")
        return inputs


class System1Steps(_PolicySteps):
    """One life of System 1. The chunks of a server's policy are taken from the session, as its other inputs are."""

    classes = (System1State,)

    def __init__(self, index: Index, settings: Settings, folder: Path, epoch: int) -> None:
        super().__init__(index, folder, epoch)
        self._recorded: RecordedPolicy | None = None
        if settings.policy.server:
            self._recorded = RecordedPolicy(policy_needs(settings))
            self._config = System1Config(settings, self._recorded, policy_id(settings))
            return
        prepare_torch(settings.system1)
        checkpoint = open_checkpoint(settings)
        self._config = System1Config(settings, fast_system(settings, checkpoint), checkpoint.id)

    def fresh(self, first: messages.Message) -> System1State:
        return System1State()

    def next_seq(self, state: System1State, recorded: messages.Message) -> int:
        return state.run if isinstance(recorded, messages.ActionChunk) else state.skips

    def make(self, state: System1State, recorded: messages.ActionChunk | messages.Skip) -> Made:
        inputs = self._inputs(recorded)
        if self._recorded is not None:
            self._recorded.gives(recorded)
        made = system1_step.step(
            self._config, state, inputs, self._pictures, self._embeddings, self._epoch, recorded.stamp_ns
        )
        return chunk_made(recorded, made)

    def _inputs(self, recorded: messages.ActionChunk | messages.Skip) -> System1Inputs:
        frames, cameras = self._frames(recorded), len(self._config.fast.needs.cameras)
        sets = tuple(frames[place : place + cameras] for place in range(0, len(frames), cameras))
        inputs = system1_step.inputs_of(states_consumed(self._index, recorded), sets)
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
