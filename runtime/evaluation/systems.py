"""Both systems on a virtual clock: when each runs and on what, by the rules of the live processes; how long it takes is told.

Used by the world of evaluation, and by the test that puts a live session on the virtual clock.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from models.fast import FastSystem
from models.policy import InstructionEmbedding
from models.slow import SlowSystem
from runtime import system1_step, system2_step, wire
from runtime.config import Settings
from runtime.system1 import due, gather, next_due, waits_for_system2
from runtime.topics import CAMERAS
from runtime.views import History, PictureSource, newest_set

EPOCH = 1
Chunk = wire.ActionChunk | wire.Skip


class VirtualClock:
    """Events in order of time; of two at the same time the one that was told first."""

    def __init__(self, now: int) -> None:
        self.now = now
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, time_ns: int, happen: Callable[[], None]) -> None:
        """Let something happen."""
        self._count += 1
        heapq.heappush(self._events, (time_ns, self._count, happen))

    def next(self) -> bool:
        """The next event; False when there is none."""
        if not self._events:
            return False
        self.now, _, happen = heapq.heappop(self._events)
        happen()
        return True


@dataclass(frozen=True)
class Policy:
    """Both systems, ready to run."""

    slow: SlowSystem
    fast: FastSystem
    checkpoint_id: str
    instruct: Callable[[str], InstructionEmbedding]


@dataclass(frozen=True)
class Timing:
    """How long a run of each system takes until its message is there, ns."""

    system1: Callable[[Chunk], int]
    system2: Callable[[wire.Conditions], int]
    at_once: bool = True  # System 2 looks whether it is due at every message; else only when it is told to


class Systems:
    """System 1 and System 2 with what they hold. `held`: the newest messages by topic, which the caller keeps up to date."""

    def __init__(
        self, settings: Settings, policy: Policy, text: str, clock: VirtualClock, held: dict[str, wire.Message],
        pictures: PictureSource, timing: Timing, made: Callable[[Chunk], None],
    ) -> None:  # fmt: skip
        embedding = policy.instruct(text)
        self._embeddings: Callable[[str], InstructionEmbedding] = lambda _: embedding
        self._settings, self._clock, self._held, self._pictures = settings, clock, held, pictures
        self._timing, self._tell = timing, made
        self._rules1 = system1_step.Rules(settings, policy.fast, policy.checkpoint_id)
        self._rules2 = system2_step.Rules.of(settings, policy.slow, policy.checkpoint_id)
        self._memory1, self._memory2 = system1_step.Memory(), system2_step.Memory()
        self._history = History(CAMERAS)
        self._last, self._due_ns = (-1,) * len(CAMERAS), 0
        self._busy1 = self._busy2 = self._noticed = False
        self.conditions = 0

    def arrive(self, notices: tuple[wire.Frame, ...]) -> None:
        """Notices of new pictures reach both systems."""
        for notice in notices:
            self._history.add(notice)
        self._noticed = True
        self._system1()
        self._news2()

    def _system1(self) -> None:
        """A run, if one is due and the last one is done."""
        settings, memory, now = self._settings, self._memory1, self._clock.now
        newest = newest_set(self._history.notices)
        begins = self._noticed or settings.pacing == "serial"
        if self._busy1 or not begins or not due(settings, newest, self._due_ns, self._last):
            return
        inputs = gather(self._held, self._rules1.fast.config.history_offset_s, self._history, newest)
        if inputs is None or waits_for_system2(settings, memory, inputs.conditions):
            return
        self._noticed, self._busy1 = False, True
        made = system1_step.step(self._rules1, memory, inputs, self._pictures, self._embeddings, EPOCH, now)
        self._last, self._due_ns = tuple(frame.seq for frame in newest), next_due(settings, self._due_ns, now)
        self._clock.at(now + self._timing.system1(made), lambda: self._made(made))

    def _made(self, made: Chunk) -> None:
        """A chunk is there."""
        self._busy1 = False
        self._held["chunk" if isinstance(made, wire.ActionChunk) else "skip"] = made
        self._tell(made)
        self._news2()
        self._system1()

    def _news2(self) -> None:
        if self._timing.at_once:
            self.wake_system2()

    def wake_system2(self) -> None:
        """System 2 looks whether it is due: a condition, if so and if the last one is done."""
        inputs = system2_step.gather(self._held, tuple(self._history.notices[system2_step.HEAD]))
        if self._busy2 or inputs is None:
            return
        now = self._clock.now
        made = system2_step.step(self._rules2, self._memory2, inputs, self._pictures, self._embeddings, EPOCH, now)
        if made is None:
            return
        self._busy2 = True
        done_ns = now + self._timing.system2(made)
        timing = wire.Timing(finished_ns=done_ns, prepare_ns=0, forward_ns=done_ns - now)
        conditions = made.model_copy(update={"timing": timing})  # what was declared, not what it took here
        self._clock.at(done_ns, lambda: self._perceived(conditions))

    def _perceived(self, conditions: wire.Conditions) -> None:
        """A condition is there."""
        self._busy2 = False
        self.conditions += 1
        self._held["conditions"] = conditions
        self._system1()
        self._news2()
