"""Each system on a virtual clock: when it runs and on what, by the rules of its live process; how long it takes is given.
Used by evaluation and what-if, and by the test that puts a live session on it.

What reaches a system, and when, is up to the caller.
"""

import heapq
from collections.abc import Callable, Sequence

from runtime.config.settings import Settings
from runtime.messaging import messages
from runtime.messaging.topics import topic_of
from runtime.policy.opening import Policy
from runtime.policy.protocols import EncodedInstruction
from runtime.systems import system1_step, system2_step
from runtime.systems.frame_sets import History, PictureSource, newest_set
from runtime.systems.system1 import due, gather, next_due, waits_for_system2
from runtime.systems.system1_state import System1Config, System1State
from runtime.systems.system2_state import System2Config, System2State

EPOCH = 1  # of both systems, which are never started again here
Chunk = messages.ActionChunk | messages.Skip
Embeddings = Callable[[str], EncodedInstruction]  # encoded instructions by key


class VirtualClock:
    """Events in order of time; of two at the same time the one that was entered first."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, time_ns: int, happen: Callable[[], None]) -> None:
        """Enter an event: `happen` is called when the clock comes to `time_ns`."""
        self._count += 1
        heapq.heappush(self._events, (time_ns, self._count, happen))

    def next(self, until_ns: int | None = None) -> bool:
        """Advance to the next event and let it happen. False, and nothing happens, when there is none up to `until_ns`."""
        if not self._events or (until_ns is not None and self._events[0][0] > until_ns):
            return False
        self.now_ns, _, happen = heapq.heappop(self._events)
        happen()
        return True


class _Process:
    """The messages that a process holds: the newest of each topic, and the cameras' notices."""

    def __init__(self, cameras: Sequence[str], clock: VirtualClock, pictures: PictureSource) -> None:
        self._clock, self._pictures = clock, pictures
        self._held: dict[str, messages.Message] = {}
        self._history = History(cameras)
        self._busy = False

    def hear(self, *arrived: messages.Message) -> None:
        """Messages arrive; nothing is done about them before `advance`."""
        for message in arrived:
            if not isinstance(message, messages.Frame):
                self._held[topic_of(message)] = message
            elif message.camera in self._history.notices:
                self._history.add(message)


class VirtualSystem1(_Process):
    """System 1.

    `taken` gives how long a run takes until the next one may begin, ns; `made` is called with what came out when that time is
    over.
    """

    def __init__(
        self, settings: Settings, policy: Policy, embeddings: Embeddings, clock: VirtualClock,
        pictures: PictureSource, taken: Callable[[Chunk], int], made: Callable[[Chunk], None],
    ) -> None:  # fmt: skip
        super().__init__(policy.fast.needs.cameras, clock, pictures)
        self._config = System1Config(settings, policy.fast, policy.checkpoint_id)
        self._state = System1State()
        self._embeddings, self._taken, self._tell = embeddings, taken, made
        self._last, self._due_ns, self._noticed = (-1,) * len(policy.fast.needs.cameras), 0, False

    def hear(self, *arrived: messages.Message) -> None:
        """Messages arrive; a frame among them lets the next `advance` begin a run."""
        super().hear(*arrived)
        self._noticed = self._noticed or any(isinstance(message, messages.Frame) for message in arrived)

    def advance(self) -> None:
        """Begin a run, if one is due and the last one is done."""
        settings, now_ns = self._config.settings, self._clock.now_ns
        newest = newest_set(self._history.notices)
        begins = self._noticed or settings.pacing == "serial"
        if self._busy or not begins or not due(settings, newest, self._due_ns, self._last):
            return
        inputs = gather(self._held, self._config.fast.needs, self._history, newest)
        if inputs is None or waits_for_system2(settings, self._state, inputs):
            return
        self._noticed, self._busy = False, True
        made = system1_step.step(self._config, self._state, inputs, self._pictures, self._embeddings, EPOCH, now_ns)
        self._last, self._due_ns = (
            tuple(frame.seq for frame in newest),
            next_due(settings, inputs.episode, self._due_ns, now_ns),
        )
        self._clock.at(now_ns + self._taken(made), lambda: self._done(made))

    def _done(self, made: Chunk) -> None:
        self._busy = False
        self._tell(made)
        self.advance()


class VirtualSystem2(_Process):
    """System 2.

    `taken` gives how long a condition takes, ns; `made` is called with it when that time is over.
    """

    def __init__(
        self, settings: Settings, policy: Policy, embeddings: Embeddings, clock: VirtualClock,
        pictures: PictureSource, taken: Callable[[messages.Conditions], int], made: Callable[[messages.Conditions], None],
    ) -> None:  # fmt: skip
        self._config = System2Config(settings, policy.slow, policy.checkpoint_id)
        super().__init__(self._config.cameras, clock, pictures)
        self._state = System2State()
        self._embeddings, self._taken, self._tell = embeddings, taken, made

    def advance(self) -> None:
        """Begin a condition, if one is due and the last one is done."""
        inputs = system2_step.gather(self._held, self._history.frames())
        if self._busy or inputs is None:
            return
        now_ns = self._clock.now_ns
        made = system2_step.step(self._config, self._state, inputs, self._pictures, self._embeddings, EPOCH, now_ns)
        if made is None:
            return
        self._busy = True
        done_ns = now_ns + self._taken(made)
        timing = messages.Timing(finished_ns=done_ns, prepare_ns=0, forward_ns=done_ns - now_ns)
        conditions = made.model_copy(update={"timing": timing})  # what was declared, not what it took here
        self._clock.at(done_ns, lambda: self._done(conditions))

    def _done(self, made: messages.Conditions) -> None:
        self._busy = False
        self._tell(made)
        self.advance()
