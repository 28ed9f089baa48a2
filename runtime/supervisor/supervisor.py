"""The supervisor: starts the processes of the table, watches them, restarts them, and ends them in the right order.
Called by robot.py in every loop.

`step` is deterministic: from exits, heartbeats and the time it decides what to start and what to kill. No torch in here.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from runtime.config.settings import Supervisor as Settings
from runtime.host.clock import NS_PER_S, seconds
from runtime.messaging import messages
from runtime.process.processes import ProcessRow

State = Literal["starting", "alive", "stopped", "hung", "exited", "off"]
SILENT_NS = 180_000_000
"""Without a heartbeat for this long a process counts as stopped. Chosen: three of 20 Hz are missing, the last of them 30 ms
late; it is told at once then (`silent_at_ns`), within the 200 ms of the fault matrix."""
LOADING_S = 15.0
"""How long processes wait for the two systems at most. Measured: these load in 5 to 8 s on two cores, and from weights of
gigabytes in minutes, in which the robot shall be seen."""
MANY_PROCESSORS = 8  # where all start together; chosen: the simulated robot's processes load on about so many
_RATE_S = 5  # rates are those of so many seconds, as in the status line
_BACK_OFF_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Before a process that ended is started again, by how often it was. Chosen: a single crash costs no time, one that repeats
does not take the processors from the others."""


@dataclass
class SentRate:
    """Messages a second, by how many somebody had sent at moments a second apart."""

    _sent: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_RATE_S + 1))

    def note(self, at_ns: int, sent: int) -> None:
        """Note how many there are by now; does nothing within a second of the last note."""
        if not self._sent or at_ns - self._sent[-1][0] >= NS_PER_S:
            self._sent.append((at_ns, sent))

    def forget(self) -> None:
        """Begin to count anew."""
        self._sent.clear()

    @property
    def hz(self) -> float:
        """Over the last five seconds; 0 before there are two notes."""
        if len(self._sent) < 2:
            return 0.0
        (from_ns, before), (to_ns, after) = self._sent[0], self._sent[-1]
        return (after - before) * NS_PER_S / (to_ns - from_ns)


@dataclass
class SupervisedProcess:
    """One process as the supervisor sees it."""

    row: ProcessRow
    state: State = "off"
    epoch: int = 0
    since_ns: int = 0  # of the state
    beat_ns: int = 0  # when its last heartbeat was sent
    step_ns: int = 0  # when its loop last came round
    start_at_ns: int = 0  # at the latest
    stepped: bool = False  # its loop came round in this life
    sent: SentRate = field(default_factory=SentRate)
    lost: int = 0  # messages, in this life
    lost_before: int = 0
    faults: int = 0

    @property
    def sent_hz(self) -> float:
        """Messages a second over the last five seconds; 0 while it is not alive."""
        return self.sent.hz if self.state == "alive" else 0.0


@dataclass
class SupervisorState:
    """What a step remembers: how each process of this run stands, by name."""

    supervised: dict[str, SupervisedProcess]


def beginning(rows: Iterable[ProcessRow], processors: int, now_ns: int) -> SupervisorState:
    """Nothing runs yet. Where processors are few, some processes wait for those that load."""
    latest_ns = now_ns + (seconds(LOADING_S) if processors < MANY_PROCESSORS else 0)
    return SupervisorState(
        {row.name: SupervisedProcess(row, start_at_ns=latest_ns if row.waits else now_ns) for row in rows}
    )


@dataclass(frozen=True)
class SupervisorInputs:
    """What came in since the last step."""

    exits: dict[str, int] = field(default_factory=dict)  # name -> return code
    beats: tuple[messages.Heartbeat, ...] = ()
    faults: tuple[messages.Fault, ...] = ()  # that processes told


@dataclass(frozen=True)
class SupervisorOutputs:
    """What to do now, and what to tell: names to start and to kill, faults (name, text)."""

    start: tuple[str, ...]
    kill: tuple[str, ...]
    faults: tuple[tuple[str, str], ...]
    changed: bool  # some process's state: to be told at once


def step(settings: Settings, state: SupervisorState, inputs: SupervisorInputs, now_ns: int) -> SupervisorOutputs:
    """Judge all processes once.

    Args:
        settings: Of the supervisor: how long to wait for a start, and for a process that stopped.
        state: Changed in place.
        inputs: What came since the last step.
        now_ns: CLOCK_MONOTONIC.
    """
    states = [supervised.state for supervised in state.supervised.values()]
    for beat in inputs.beats:
        _note_beat(state, beat)
    for fault in inputs.faults:
        _note_fault(state, fault.process)
    start: list[str] = []
    kill: list[str] = []
    faults: list[tuple[str, str]] = []
    for name, supervised in state.supervised.items():
        before = supervised.state
        if name in inputs.exits:
            faults.append(_exited(supervised, inputs.exits[name], now_ns))
            supervised.faults += 1
        elif supervised.state in ("off", "exited") and _is_due(state, supervised, now_ns):
            start.append(name)
            supervised.epoch += 1
            supervised.beat_ns = supervised.step_ns = now_ns
            supervised.stepped = False
            supervised.sent.forget()
            supervised.lost, supervised.lost_before = 0, supervised.lost_before + supervised.lost
            _become(supervised, "starting", now_ns)
        elif supervised.state != "off" and supervised.state != "exited":
            _judge(settings, supervised, now_ns)
            if supervised.state in ("stopped", "hung") and now_ns - supervised.since_ns > seconds(
                settings.restart_after_s
            ):
                kill.append(name)
                supervised.since_ns = now_ns
            if supervised.state != before and supervised.state in ("stopped", "hung"):
                faults.append((supervised.state, silence(settings, supervised, now_ns)))
                supervised.faults += 1
    changed = states != [supervised.state for supervised in state.supervised.values()]
    return SupervisorOutputs(tuple(start), tuple(kill), tuple(faults), changed)


def _is_due(state: SupervisorState, supervised: SupervisedProcess, now_ns: int) -> bool:
    """Whether to start it: its time has come, or what it waits for at the beginning has loaded."""
    if now_ns >= supervised.start_at_ns:
        return True
    loaded = all(other.stepped for other in state.supervised.values() if other.row.loads)
    return supervised.row.waits and supervised.epoch == 0 and loaded


def silence(settings: Settings, supervised: SupervisedProcess, now_ns: int) -> str:
    """What a process lacks that stopped or hung, for how long, and what follows; its name comes first."""
    stopped = supervised.state == "stopped"
    lacks, since_ns = (
        ("sends no heartbeat", supervised.beat_ns) if stopped else ("makes no progress", supervised.step_ns)
    )
    found = f"{supervised.row.name} {lacks} for {(now_ns - since_ns) / NS_PER_S:.1f} s"
    return f"{found}; restarting it unless it recovers within {settings.restart_after_s:g} s"


def silent_process(fault: messages.Fault) -> str | None:
    """Which process a fault says to have fallen silent; None: it says something else."""
    is_silence = fault.process == "supervisor" and fault.name in ("stopped", "hung")
    return fault.text.partition(" ")[0] if is_silence else None


def _note_beat(state: SupervisorState, beat: messages.Heartbeat) -> None:
    supervised = state.supervised.get(beat.process)
    if supervised is not None and beat.epoch == supervised.epoch:
        supervised.beat_ns, supervised.step_ns = beat.stamp_ns, beat.last_step_ns
        supervised.stepped = supervised.stepped or beat.steps > 0
        supervised.lost = beat.lost
        supervised.sent.note(beat.stamp_ns, beat.sent)
        if supervised.state == "starting" and supervised.stepped:
            _become(supervised, "alive", beat.stamp_ns)


def _note_fault(state: SupervisorState, process: str) -> None:
    supervised = state.supervised.get(process)
    if supervised is not None:
        supervised.faults += 1


def _exited(supervised: SupervisedProcess, code: int, now_ns: int) -> tuple[str, str]:
    attempt = min(supervised.epoch - 1, len(_BACK_OFF_S) - 1)
    supervised.start_at_ns = now_ns + seconds(_BACK_OFF_S[attempt])
    _become(supervised, "exited", now_ns)
    reason = f"signal {-code}" if code < 0 else f"status {code}"
    return ("exited", f"{supervised.row.name} ended with {reason}; restarting it (start {supervised.epoch + 1})")


def _judge(settings: Settings, supervised: SupervisedProcess, now_ns: int) -> None:
    if supervised.state == "starting":
        if now_ns - supervised.since_ns > seconds(settings.start_timeout_s):
            _become(supervised, "hung", now_ns)
        return
    if now_ns - supervised.beat_ns > SILENT_NS:
        _become(supervised, "stopped", now_ns)
    elif not supervised.stepped or now_ns - supervised.step_ns > seconds(3 * supervised.row.progress_s):
        _become(supervised, "hung", now_ns)
    else:
        _become(supervised, "alive", now_ns)


def _become(supervised: SupervisedProcess, state: State, now_ns: int) -> None:
    if supervised.state != state:
        supervised.state, supervised.since_ns = state, now_ns


def silent_at_ns(state: SupervisorState) -> int | None:
    """When the first of the processes counts as stopped unless it is heard before, ns; None: none of them runs."""
    heard = [supervised.beat_ns for supervised in state.supervised.values() if supervised.state in ("alive", "hung")]
    return min(heard) + SILENT_NS + 1 if heard else None


def supervision(state: SupervisorState, own: messages.ProcessState, seq: int, now_ns: int) -> messages.Supervision:
    """All processes' states as a message. `own`: the supervisor's, whom nobody supervises."""
    rows = tuple(
        messages.ProcessState(
            process=name,
            state=supervised.state,
            restarts=max(0, supervised.epoch - 1),
            sent_hz=round(supervised.sent_hz, 1),
            lost=supervised.lost_before + supervised.lost,
            faults=supervised.faults,
        )
        for name, supervised in state.supervised.items()
    )
    return messages.Supervision(seq=seq, epoch=1, stamp_ns=now_ns, processes=(own, *rows))
