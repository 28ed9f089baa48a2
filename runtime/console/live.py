"""A live run as the console sees it: the newest of everything, without ever holding anybody up.
Used by the console's process and the replay's page; app.py serves it as a Source.
"""

from collections import deque
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from runtime.config.settings import Settings
from runtime.console.events import MARKS, Event, EventDetector
from runtime.console.source import RATED, SHOWN_EVENTS, Picture, parts, rate_hz
from runtime.console.view import ARRIVAL, STATES, view
from runtime.host.clock import NS_PER_S, robot_time_ns
from runtime.messaging import messages
from runtime.messaging.bus import Bus
from runtime.messaging.frame_ring import FrameRing

_NEWEST = (
    "joint_state",
    "scene",
    "leader_state",
    "camera_health",
    "recording",
    "supervision",
    "episode",
    "instruction",
    "deadman",
)
_ALL = ("safety", "arm_target", "chunk", "conditions", "skip", "fault", "operator_command", "outcome")
_QUIET_NS = 5 * NS_PER_S
"""A topic without a message for so long has the rate 0. Chosen: longer than a condition may be old (4 s)."""


class Live:
    """A Source that reads the bus of a run's folder; `update` must be called often. `clock`: of the messages' stamps."""

    live = True

    def __init__(self, bus: Bus, settings: Settings, folder: Path, clock: Callable[[], int] = robot_time_ns) -> None:
        self._settings, self._folder, self._clock = settings, folder, clock
        names = [name for name in STATES if name.startswith("frame.")]
        self._subscribers = [bus.subscriber(name, newest=True) for name in (*_NEWEST, *names)]
        self._subscribers += [bus.subscriber(name, depth=512) for name in _ALL]
        self._held: dict[str, messages.Message] = {}
        self._events: deque[Event] = deque(maxlen=SHOWN_EVENTS)
        self._detector = EventDetector()
        self._stamps = {name: deque[int](maxlen=count) for name, count in RATED.items()}
        self._rings: dict[str, FrameRing] = {}
        self._moment: dict[str, str] = {}

    def update(self) -> None:
        """Take what came on the bus; the next moment is made of it."""
        for subscriber in self._subscribers:
            for received in subscriber.take():
                self._take(subscriber.topic.name, received.message)
        self._moment = {}

    @property
    def safety(self) -> messages.SafetyState | None:
        """The newest state of the safety layer; None before the first."""
        state = self._held.get("safety")
        return state if isinstance(state, messages.SafetyState) else None

    def now_ns(self) -> int:
        """The run's time, by the clock of its messages' stamps."""
        return self._clock()

    async def moment(self, at_ns: int | None = None) -> dict[str, str]:
        """The newest moment's parts as JSON, made once for all who ask; there is no other (`at_ns` is not read)."""
        del at_ns
        if not self._moment:
            self._moment = parts(view(self._settings, self._held, list(self._events), self.rates_hz(), self._clock()))
        return self._moment

    async def picture(self, camera: str, at_ns: int | None = None) -> Picture | None:
        """The newest picture in the camera's ring; there is no other (`at_ns` is not read)."""
        del at_ns
        ring = self._ring(camera)
        number = 0 if ring is None else ring.newest  # newer than its notice, which is taken 20 times a second
        found = None if ring is None else ring.read_encoded(number)
        return None if found is None else Picture(number, *found)

    def rates_hz(self) -> dict[str, float]:
        """Messages a second, 0 for what has fallen silent."""
        now_ns = self._clock()
        return {
            name: rate_hz(stamps) if stamps and now_ns - stamps[-1] < _QUIET_NS else 0.0
            for name, stamps in self._stamps.items()
        }

    def _take(self, topic: str, message: messages.Message) -> None:
        self._events.extend(event for event in self._detector.note(message) if event.kind not in MARKS)
        self._held[topic] = message
        if isinstance(message, messages.ArmTarget) and message.arrivals:
            self._held[ARRIVAL] = message
        if topic in self._stamps:
            stamps = self._stamps[topic]
            stamps.append(message.stamp_ns)
            if any(after < before for before, after in pairwise(stamps)):
                stamps.clear()

    def _ring(self, camera: str) -> FrameRing | None:
        if camera not in self._rings:
            try:
                self._rings[camera] = FrameRing.attach(self._folder / f"{camera}.ring")
            except (FileNotFoundError, ValueError):
                return None
        return self._rings[camera]
