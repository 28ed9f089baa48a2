"""What a session would have been under another checkpoint, ratio, blend or limit: `replay.sh SESSION --what-if FLAGS`.
Called by command.py.

Pictures, joints, commands and the median durations of both systems stay as they were recorded; both systems and the arms
process run again, by the rules of the virtual clock. It is an open loop: the recorded robot does not go where it is sent now.
So System 1 goes on seeing the recorded joints, and to the safety layer the arms follow perfectly: it shows what would have been
commanded, not where that would have led. A policy server's chunks keep their recorded values and times.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from runtime.arms import state as arms_state
from runtime.arms import step as arms_step
from runtime.arms.process import execution
from runtime.config.loading import settings_from_json
from runtime.config.settings import Settings
from runtime.errors import SessionError
from runtime.messaging import messages
from runtime.messaging.topics import topic_of
from runtime.policy.opening import Policy
from runtime.policy.protocols import EncodedInstruction
from runtime.process.role import Role
from runtime.replay.index import Index, Missing
from runtime.replay.written_session import Topical
from runtime.session.reader import Session
from runtime.systems.virtual_clock import VirtualClock, VirtualSystem1, VirtualSystem2

_REPLACED = (
    messages.ActionChunk, messages.Skip, messages.Conditions, messages.ArmTarget, messages.JointState,
    messages.SafetyState, messages.Snapshot,
)  # fmt: skip
_TO_BOTH = (messages.Episode, messages.Instruction, messages.Embedding)
_OF_THE_ARMS = ("safety", "trajectory")  # settings that decide what becomes of a chunk, not which chunk is made
_USUAL_S = (0.045, 0.11)  # of a run of System 1 and 2, where the session holds none; as evaluation's (world.Latencies)


@dataclass(frozen=True)
class Origin:
    """A session by topic and number, and the settings it was recorded under."""

    index: Index
    settings: Settings
    unfit: str = ""  # why its arms could not be armed

    @classmethod
    def of(cls, session: Session) -> "Origin":
        """Index a session. Raises SessionError where there is no run with arms in it to begin with."""
        index = Index(session)
        if "settings" not in session.metadata or not index.of("arm_target"):
            raise SessionError(f"{session.path}: holds no run of the arms; give another session")
        settings = settings_from_json(session.metadata["settings"])
        role = Role.of_session(session.metadata)
        if role.tracks:
            raise SessionError(f"{session.path}: followed {role.tracks} without a policy; give another session")
        return cls(index, settings, role.unfit)

    def check(self, settings: Settings, changed: Iterable[str]) -> None:
        """Raises SessionError for what a policy server would have to be asked again, since it gave no more than was recorded.

        Args:
            settings: With what flags change.
            changed: Names of the settings that they change.
        """
        if not settings.policy.server:
            return
        names = [name for name in changed if name.partition(".")[0] not in _OF_THE_ARMS]
        prefixed = settings.trajectory.blend == "prefix" or any(
            run.committed for run in self._all(messages.ActionChunk)
        )
        if names or prefixed:
            what = f"--{names[0]}" if names else "blend prefix"
            raise SessionError(
                f"{what}: the policy server {settings.policy.server} would have to be asked again; change only "
                "--safety... or --trajectory... without prefix, or give --policy.checkpoint DIR"
            )

    def embedded(self) -> list[messages.Embedding]:
        """An embedding for each instruction, where the session has none, since a policy server read the texts."""
        if self._all(messages.Embedding):
            return []
        return [
            messages.Embedding(seq=0, epoch=0, stamp_ns=one.stamp_ns, instruction=one.number, key=f"text {one.number}")
            for one in self._all(messages.Instruction)
        ]

    def runs(self) -> list[messages.ActionChunk | messages.Skip]:
        """What System 1 made."""
        return [*self._all(messages.ActionChunk), *self._all(messages.Skip)]

    @property
    def checkpoint_id(self) -> str:
        """The policy of the recorded run, "" if it made nothing."""
        chunks = self._all(messages.ActionChunk)
        return chunks[0].checkpoint_id if chunks else ""

    def embeddings(
        self, stored: Callable[[str], EncodedInstruction], policy: Policy
    ) -> Callable[[str], EncodedInstruction]:
        """Encoded instructions by key: those of the session where the policy is the same, else encoded by the new one."""
        same = policy.checkpoint_id == self.checkpoint_id
        texts = {message.number: message.text for message in self._all(messages.Instruction)}
        instructed = (*self._all(messages.Embedding), *self.embedded())
        reported = {message.key: texts.get(message.instruction, "") for message in instructed}
        made: dict[str, EncodedInstruction] = {}

        def encoded(key: str) -> EncodedInstruction:
            if same:
                with suppress(Missing):  # a damaged session may have lost it
                    return stored(key)
            if key not in made:
                if key not in reported:
                    raise SessionError(
                        f"{self.index.session.path}: text of instruction {key} is missing; give another session"
                    )
                made[key] = policy.instruct(reported[key])
            return made[key]

        return encoded

    def duration_ns(self, kind: type[messages.ActionChunk] | type[messages.Conditions], usual_s: float) -> int:
        """The median duration of a system's runs in the session; `usual_s` where it holds none."""
        taken = [run.timing.finished_ns - run.stamp_ns for run in self._all(kind)]
        return round(median(taken) if taken else usual_s * 1e9)

    def _all(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.index.messages.values() if isinstance(message, kind)]


class WhatIf:
    """Both systems and the arms process over a session's inputs."""

    def __init__(
        self, origin: Origin, settings: Settings, policy: Policy | None, stored: Callable[[str], EncodedInstruction],
        changed: Iterable[str] = (),
    ) -> None:  # fmt: skip
        """`policy` None: a server's, whose recorded chunks stay. `stored` gives the session's encoded instructions by key.
        `changed`: names of the settings that flags change.
        """
        self._origin, self._changed = origin, frozenset(changed)
        self._made: list[Topical] = []
        self._chunks: list[messages.ActionChunk] = []  # on their way to the arms
        self._clock = VirtualClock(min(message.stamp_ns for message in origin.index.messages.values()))
        self._config = arms_state.ArmsConfig.of(settings, origin.unfit)
        self._arms: arms_state.ArmsState | None = None
        self._systems: tuple[VirtualSystem1, VirtualSystem2] | None = None
        if policy is None:
            return
        common = (settings, policy, origin.embeddings(stored, policy), self._clock, origin.index.session.picture)
        taken = [
            origin.duration_ns(kind, usual_s)
            for kind, usual_s in zip((messages.ActionChunk, messages.Conditions), _USUAL_S, strict=True)
        ]
        self._systems = (
            VirtualSystem1(*common, lambda run: taken[0] * isinstance(run, messages.ActionChunk), self._acted),
            VirtualSystem2(*common, lambda _: taken[1], self._conditions_made),
        )

    def run(self, passed: Callable[[float], object] = lambda _: None) -> list[Topical]:
        """What it would have been: everything made again and everything that stays, in order of time.

        `passed` is told which share of the session's time is done, 0 to 1.
        """
        index = self._origin.index
        for (topic, _, _), message in index.messages.items():
            if isinstance(message, messages.ArmTarget):
                self._clock.at(message.stamp_ns, partial(self._tick, message))
            elif isinstance(message, (*_TO_BOTH, messages.Frame)):
                self._clock.at(message.stamp_ns, partial(self._hear, self._tuned(message)))
            if not isinstance(message, _REPLACED):
                self._made.append((topic, self._tuned(message)))
        if self._systems is None:
            for run in self._origin.runs():
                made_ns = run.timing.finished_ns if isinstance(run, messages.ActionChunk) else run.stamp_ns
                self._clock.at(max(made_ns, run.stamp_ns), partial(self._acted, run))
        else:
            for embedding in self._origin.embedded():
                self._clock.at(embedding.stamp_ns, partial(self._hear, embedding))
        # A System 2 that cannot keep up is due again as soon as it is done, for ever: nothing happens after the session.
        end_ns = max(message.stamp_ns for message in index.messages.values())
        begin_ns = self._clock.now_ns
        while self._clock.next(end_ns):
            passed((self._clock.now_ns - begin_ns) / max(1, end_ns - begin_ns))
        return sorted(self._made, key=lambda row: row[1].stamp_ns)

    def _tuned(self, message: messages.Message) -> messages.Message:
        """The message as it was; of an episode, without what was tuned then and the flags change now."""
        if not isinstance(message, messages.Episode):
            return message
        plain = {"ratio": ("ratio", 0), "trajectory.blend": ("blend", None), "system1.period_s": ("period_ns", 0)}
        return message.model_copy(update=dict(plain[name] for name in self._changed & set(plain)))

    def _hear(self, message: messages.Message) -> None:
        for system in self._systems or ():
            system.hear(message)
            system.advance()

    def _tick(self, recorded: messages.ArmTarget) -> None:
        """One tick of the arms process, at its recorded time and on what it consumed then; chunks are those made again."""
        arrived = [self._tuned(self._origin.index.messages[ref]) for ref in recorded.inputs if self._has(ref)]
        feedback = next((message for message in arrived if isinstance(message, messages.JointState)), None)
        if feedback is None:
            return  # the damaged part of a session
        now_ns = recorded.stamp_ns
        if self._arms is None or recorded.seq == 0:
            self._arms = arms_state.start(self._config, feedback, now_ns, restarted=recorded.epoch > 1)
        reported = feedback.model_copy(update=execution(self._arms, feedback.stamp_ns))
        if self._systems is not None:
            self._systems[0].hear(reported)
        follows = reported  # until they are armed nobody tells them where to be
        if arms_state.armed(self._arms.machine):
            follows = reported.model_copy(update={"q": self._arms.commanded.q})
        others = [m for m in arrived if not isinstance(m, messages.JointState | messages.ActionChunk)]
        inputs = arms_state.ArmsInputs(follows, (*others, *self._chunks), 0, recorded.deadline_ns)
        arrivals = tuple((chunk.seq, now_ns) for chunk in self._chunks)
        self._chunks = []
        made = arms_step.step(self._config, self._arms, inputs, recorded.epoch, now_ns)
        target = made.target.model_copy(update={"arrivals": arrivals})
        self._made += [("joint_state", reported), ("arm_target", target)]
        if made.state is not None:
            self._made.append(("safety", made.state))

    def _has(self, reference: messages.InputRef) -> bool:
        return reference in self._origin.index.messages

    def _acted(self, made: messages.ActionChunk | messages.Skip) -> None:
        """A run of System 1 is done: its chunk reaches the arms at their next tick, and System 2."""
        if isinstance(made, messages.ActionChunk):
            timing = messages.Timing(
                finished_ns=self._clock.now_ns, prepare_ns=0, forward_ns=self._clock.now_ns - made.stamp_ns
            )
            made = made.model_copy(update={"timing": timing})
            self._chunks.append(made)
        self._made.append((topic_of(made), made))
        if self._systems is not None:
            self._systems[1].hear(made)
            self._systems[1].advance()

    def _conditions_made(self, made: messages.Conditions) -> None:
        assert self._systems is not None, "one of them made it"
        self._made.append(("conditions", made))
        self._systems[0].hear(made)
        self._systems[0].advance()
