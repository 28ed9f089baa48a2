"""The supervisor: starts the processes of the table, watches them, restarts them, and ends them in the right order.

`step` is pure: from exits, heartbeats and the time it decides what to start and what to kill. No torch in here.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from runtime.config.settings import Supervisor as Settings
from runtime.host.clock import NS_PER_S, seconds
from runtime.messaging import messages
from runtime.process.table import ProcessRow

State = Literal["starting", "alive", "stopped", "hung", "exited", "off"]
SILENT_NS = 200_000_000  # without a heartbeat for this long a process counts as stopped
_RATE_S = 5  # rates are those of the last seconds, told anew every second
_BACK_OFF_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass
class Watched:
    """One process as the supervisor sees it."""

    row: ProcessRow
    state: State = "off"
    epoch: int = 0
    since_ns: int = 0  # of the state
    beat_ns: int = 0  # when its last heartbeat was sent
    step_ns: int = 0  # when its loop last came round
    start_at_ns: int = 0
    stepped: bool = False  # its loop came round in this life
    sent: deque[tuple[int, int]] = field(
        default_factory=lambda: deque(maxlen=_RATE_S + 1)
    )  # when, and how many by then
    lost: int = 0  # messages, in this life
    lost_before: int = 0
    faults: int = 0

    @property
    def sent_hz(self) -> float:
        """Messages a second over the last seconds; 0 where it does not live."""
        if self.state != "alive" or len(self.sent) < 2:
            return 0.0
        (from_ns, before), (to_ns, after) = self.sent[0], self.sent[-1]
        return (after - before) * NS_PER_S / (to_ns - from_ns)


@dataclass
class Memory:
    """All processes by name."""

    watched: dict[str, Watched]


@dataclass(frozen=True)
class Inputs:
    """What came in since the last step."""

    exits: dict[str, int] = field(default_factory=dict)  # name -> return code
    beats: tuple[messages.Heartbeat, ...] = ()
    faults: tuple[messages.Fault, ...] = ()  # that processes told


@dataclass(frozen=True)
class Outputs:
    """What to do now, and what to tell."""

    start: tuple[str, ...]
    kill: tuple[str, ...]
    faults: tuple[tuple[str, str], ...]
    changed: bool  # some process's state: to be told at once


def step(settings: Settings, memory: Memory, inputs: Inputs, now: int) -> Outputs:
    """One look at all processes."""
    states = [watched.state for watched in memory.watched.values()]
    for beat in inputs.beats:
        _note_beat(memory, beat)
    for fault in inputs.faults:
        _note_fault(memory, fault.process)
    start: list[str] = []
    kill: list[str] = []
    faults: list[tuple[str, str]] = []
    for name, watched in memory.watched.items():
        before = watched.state
        if name in inputs.exits:
            faults.append(_exited(watched, inputs.exits[name], now))
            watched.faults += 1
        elif watched.state in ("off", "exited") and now >= watched.start_at_ns:
            start.append(name)
            watched.epoch += 1
            watched.beat_ns = watched.step_ns = now
            watched.stepped = False
            watched.sent.clear()
            watched.lost, watched.lost_before = 0, watched.lost_before + watched.lost
            _become(watched, "starting", now)
        elif watched.state != "off" and watched.state != "exited":
            _judge(settings, watched, now)
            if watched.state in ("stopped", "hung") and now - watched.since_ns > seconds(settings.restart_after_s):
                kill.append(name)
                watched.since_ns = now
            if watched.state != before and watched.state in ("stopped", "hung"):
                faults.append((watched.state, f"{name} {_TROUBLE[watched.state]}"))
                watched.faults += 1
    changed = states != [watched.state for watched in memory.watched.values()]
    return Outputs(tuple(start), tuple(kill), tuple(faults), changed)


_TROUBLE = {
    "stopped": "sends no heartbeat; it is restarted if it stays silent",
    "hung": "makes no progress; it is restarted if it stays so",
}


def _note_beat(memory: Memory, beat: messages.Heartbeat) -> None:
    watched = memory.watched.get(beat.process)
    if watched is not None and beat.epoch == watched.epoch:
        watched.beat_ns, watched.step_ns = beat.stamp_ns, beat.last_step_ns
        watched.stepped = watched.stepped or beat.steps > 0
        watched.lost = beat.lost
        if not watched.sent or beat.stamp_ns - watched.sent[-1][0] >= NS_PER_S:
            watched.sent.append((beat.stamp_ns, beat.sent))
        if watched.state == "starting" and watched.stepped:
            _become(watched, "alive", beat.stamp_ns)


def _note_fault(memory: Memory, process: str) -> None:
    watched = memory.watched.get(process)
    if watched is not None:
        watched.faults += 1


def _exited(watched: Watched, code: int, now: int) -> tuple[str, str]:
    attempt = min(watched.epoch - 1, len(_BACK_OFF_S) - 1)
    watched.start_at_ns = now + seconds(_BACK_OFF_S[attempt])
    _become(watched, "exited", now)
    reason = f"signal {-code}" if code < 0 else f"status {code}"
    return ("exited", f"{watched.row.name} ended with {reason}; restarting it (start {watched.epoch + 1})")


def _judge(settings: Settings, watched: Watched, now: int) -> None:
    if watched.state == "starting":
        if now - watched.since_ns > seconds(settings.start_timeout_s):
            _become(watched, "hung", now)
        return
    if now - watched.beat_ns > SILENT_NS:
        _become(watched, "stopped", now)
    elif not watched.stepped or now - watched.step_ns > seconds(3 * watched.row.progress_s):
        _become(watched, "hung", now)
    else:
        _become(watched, "alive", now)


def _become(watched: Watched, state: State, now: int) -> None:
    if watched.state != state:
        watched.state, watched.since_ns = state, now


def supervision(memory: Memory, seq: int, now: int) -> messages.Supervision:
    """All processes' states as a message."""
    rows = tuple(
        messages.ProcessState(
            process=name,
            state=watched.state,
            restarts=max(0, watched.epoch - 1),
            sent_hz=round(watched.sent_hz, 1),
            lost=watched.lost_before + watched.lost,
            faults=watched.faults,
        )
        for name, watched in memory.watched.items()
    )
    return messages.Supervision(seq=seq, epoch=1, stamp_ns=now, processes=rows)
