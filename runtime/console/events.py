"""What happened, a line each: out of the messages, the same for a live run and a session. Deterministic.
Called by live.py and recorded.py for each message.
"""

from dataclasses import dataclass, field
from typing import Literal

from runtime.messaging import messages

Kind = Literal[
    "fault", "mode", "command", "operator", "instruction", "episode", "condition", "seam", "process", "camera"
]
MARKS: tuple[Kind, ...] = ("condition", "seam")
"""So many that they belong on a scrubber, not in a log."""


@dataclass(frozen=True)
class Event:
    """One line of the log, and a mark on the scrubber."""

    at_ns: int
    kind: Kind
    text: str

    def plain(self) -> dict[str, str | int]:
        """The event as the page's JSON holds it."""
        return {"at_ns": self.at_ns, "kind": self.kind, "text": self.text}


@dataclass
class EventDetector:
    """Remembers what the last messages said, to tell what is new."""

    mode: tuple[str, tuple[str, ...]] = ("", ())
    instruction: int = -1
    episode: tuple[int, int, str | None] = (-1, 0, None)
    processes: dict[str, str] = field(default_factory=dict)
    cameras: dict[str, bool] = field(default_factory=dict)
    driver: tuple[str, bool] = ("", False)  # who steers by a page, and whether the arms hold without it

    def note(self, message: messages.Message) -> list[Event]:
        """The events that a message makes, compared with what came before; most make none."""
        at_ns = message.stamp_ns
        match message:
            case messages.Fault():
                return [Event(at_ns, "fault", f"{message.process}: {message.text}")]
            case messages.OperatorCommand():
                return [Event(at_ns, "command", f"{message.command} ({message.source})")]
            case messages.Outcome():
                note = f": {message.note}" if message.note else ""
                return [Event(at_ns, "episode", f"episode {message.number}: {message.result}{note} ({message.source})")]
            case messages.SafetyState():
                return self._mode(message)
            case messages.Instruction() if message.number != self.instruction:
                self.instruction = message.number
                return [Event(at_ns, "instruction", message.text)]
            case messages.Episode():
                return self._episode(message)
            case messages.Conditions():
                return [Event(at_ns, "condition", f"condition {message.seq} ({message.trigger})")]
            case messages.ArmTarget() if message.seam_jump_rad_s >= 0:
                return [Event(at_ns, "seam", f"seam: {message.seam_jump_rad_s:.2f} rad/s")]
            case messages.Supervision():
                return self._supervision(message)
            case messages.CameraHealth():
                return self._health(message)
            case messages.Deadman():
                return self._driver(message)
            case _:
                return []

    def _mode(self, state: messages.SafetyState) -> list[Event]:
        before, self.mode = self.mode, (state.mode, state.reasons)
        if before[0] == state.mode:
            return []
        return [Event(state.stamp_ns, "mode", "; ".join((state.mode, *state.reasons)))]

    def _episode(self, episode: messages.Episode) -> list[Event]:
        before, self.episode = self.episode, (episode.number, episode.ratio, episode.blend)
        events: list[Event] = []
        if before[0] != episode.number:
            events.append(Event(episode.stamp_ns, "episode", f"episode {episode.number} begins: {episode.task}"))
        elif before[1] != episode.ratio:
            events.append(Event(episode.stamp_ns, "command", f"ratio 1:{episode.ratio}"))
        elif before[2] != episode.blend:
            events.append(Event(episode.stamp_ns, "command", f"blend {episode.blend}"))
        return events

    def _supervision(self, supervision: messages.Supervision) -> list[Event]:
        events: list[Event] = []
        for row in supervision.processes:
            before = self.processes.get(row.process)
            self.processes[row.process] = row.state
            if before is not None and before != row.state:
                events.append(Event(supervision.stamp_ns, "process", f"{row.process}: {row.state}"))
        return events

    def _health(self, health: messages.CameraHealth) -> list[Event]:
        events: list[Event] = []
        for state in health.cameras:
            well = not state.verdict
            before = self.cameras.get(state.camera, True)
            self.cameras[state.camera] = well
            if before != well:
                events.append(Event(health.stamp_ns, "camera", f"{state.camera}: {state.verdict or 'well again'}"))
        return events

    def _driver(self, reported: messages.Deadman) -> list[Event]:
        before, self.driver = self.driver, (reported.holder, reported.wanted)
        events: list[Event] = []
        if before[0] != reported.holder:
            events.append(
                Event(
                    reported.stamp_ns,
                    "operator",
                    f"{reported.holder} holds the lease" if reported.holder else "nobody holds the lease",
                )
            )
        if before[1] != reported.wanted:
            events.append(Event(reported.stamp_ns, "operator", f"deadman {'on' if reported.wanted else 'off'}"))
        return events
