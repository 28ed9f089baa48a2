"""The table at the end of a run, accumulated message by message.
Kept live by the recorder; what-if makes it again from messages, the robot command prints it.

Each row is explained in runtime/supervisor/README.md.
"""

import itertools
import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from runtime.host import overload
from runtime.host.clock import NS_PER_S
from runtime.messaging import messages

EXIT_SOURCE = "exit"  # the source of the HOLD command with which the program ends
OF_THE_SESSION = ("task", "outcome", "session_s", "not_replayable", "session")
"""Rows over all that was recorded; the others count from the first RUNNING to the command that ends the run."""
_LEFT, _RIGHT = slice(0, 6), slice(7, 13)  # the arms without their grippers
_LATE_SHARE = 0.05  # of the runs: so far may the measured ratio be above the one asked for; chosen


class Intervals:
    """A set of growing integers, kept as runs."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, value: int) -> None:
        """Add a value larger than all before (others are ignored)."""
        if self._ends and value == self._ends[-1] + 1:
            self._ends[-1] = value
        elif not self._ends or value > self._ends[-1]:
            self._starts.append(value)
            self._ends.append(value)

    def __contains__(self, value: int) -> bool:
        place = bisect_right(self._starts, value) - 1
        return place >= 0 and value <= self._ends[place]


@dataclass(frozen=True)
class _Condition:
    """What the table needs of a condition, without its arrays."""

    stamp_ns: int
    system1_epoch: int
    trigger_run: int
    late_runs: int
    widest_gap_ns: int

    @classmethod
    def of(cls, message: messages.Conditions) -> Self:
        life = next((epoch for topic, epoch, _ in message.inputs if topic == "chunk"), 0)
        return cls(message.stamp_ns, life, message.trigger_run, message.late_runs, message.widest_gap_ns)


@dataclass
class _Series:
    """Numbers whose percentiles are wanted."""

    values: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        self.values.append(value)

    def p99(self) -> float:
        """The 99th percentile; 0 without values."""
        return float(np.percentile(self.values, 99)) if self.values else 0.0

    def figures(self, *names: str) -> dict[str, float | None]:
        """Those asked for of p50, p99 and max, each None without values."""
        if not self.values:
            return dict.fromkeys(names)
        pick = {"p50": lambda: np.percentile(self.values, 50), "p99": lambda: np.percentile(self.values, 99)}
        return {name: round(float(pick[name]() if name in pick else max(self.values)), 3) for name in names}


class Accumulator:
    """Feed it every message of a session, in any order across topics; ask for `table` at the end.

    All figures but those OF_THE_SESSION count from the first RUNNING to the command that ends the program, pauses included.
    """

    def __init__(self, command_rate_hz: float) -> None:
        self._rate_hz = command_rate_hz
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._chunks: list[messages.ActionChunk] = []
        self._conditions: list[_Condition] = []
        self._arrivals: dict[int, list[int]] = {}  # by the chunk's number, which starts again with System 1
        self._scenes: list[tuple[int, int]] = []  # stamp and simulated time of the first and the newest
        self._late_us, self._seams, self._lag_ms = _Series(), _Series(), _Series()
        self._previous_deadline_ns = 0
        self._misses = self._ticks = self._running = self._led = self._limited = 0
        self._path = np.zeros(2)
        self._previous_q: Any = None
        self._safety: messages.SafetyState | None = None
        self._before: messages.SafetyState | None = None  # the newest one before the first RUNNING
        self._fault_reports = 0
        self._rates: dict[str, float] = {}
        self._seen: dict[tuple[str, int], Intervals] = {}
        self._pictures: dict[str, Intervals] = {}
        self._wanted: list[tuple[messages.InputRef, ...]] = []
        self._span_ns: list[int] = []  # of the first and the newest tick
        self._newest_ns = 0  # of the newest tick that counts
        self._task = ""
        self._judged: dict[int, str] = {}  # by episode

    def picture(self, camera: str, number: int) -> None:
        """Count a frame whose picture was logged."""
        self._pictures.setdefault(camera, Intervals()).add(number)

    def add(self, topic: str, message: messages.Message) -> None:
        """Count a message that was logged, by what it is."""
        key = (topic, message.epoch)
        seen = self._seen.get(key)
        if seen is None:
            seen = self._seen[key] = Intervals()
        seen.add(message.seq)
        match message:
            case messages.ArmTarget():
                self._tick(message)
            case messages.JointState():
                self._move(message)
            case messages.ActionChunk():
                self._chunks.append(message.model_copy(update={"q": None}))
                self._wanted.append(message.inputs)
            case messages.Conditions():
                self._conditions.append(_Condition.of(message))
                self._wanted.append(message.inputs)
            case messages.SafetyState():
                self._note_safety(message)
            case messages.Fault():
                self._fault_reports += self._counting(message.stamp_ns)
            case messages.Scene():
                self._note_scene(message)
            case messages.Episode():
                self._task = message.task
                self._judged.setdefault(message.number, "")
            case messages.Outcome():
                self._judged[message.number] = message.result
            case messages.CameraHealth():
                if self._counting(message.stamp_ns):
                    self._rates = {state.camera: state.rate_hz for state in message.cameras}
            case messages.OperatorCommand():
                if message.source == EXIT_SOURCE:
                    self._last_ns = message.stamp_ns
            case _:
                pass

    def table(self, dropped: int, session: str) -> dict[str, Any]:
        """The figures so far.

        Args:
            dropped: Messages that queues lost.
            session: Its folder's name.

        Returns:
            Plain values by row; units stand at the end of their names.
        """
        first_ns = self._first_ns or 0
        chunks = [chunk for chunk in self._chunks if self._counting(chunk.stamp_ns) and chunk.stamp_ns > first_ns]
        conditions = [c for c in self._conditions if self._counting(c.stamp_ns) and c.stamp_ns > first_ns]
        guided = [chunk for chunk in chunks if chunk.conditions_seq >= 0]  # a policy may have no System 2
        ages = _Series([(chunk.stamp_ns - chunk.conditions_capture_ns) / 1e6 for chunk in guided])
        taken = _Series([(chunk.timing.finished_ns - chunk.stamp_ns) / 1e6 for chunk in chunks])
        steps = _Series([condition.widest_gap_ns / 1e6 for condition in conditions])
        return {
            "task": self._task,
            "outcome": self._outcome(),
            "session_s": round((self._span_ns[-1] - self._span_ns[0]) / NS_PER_S, 1) if self._span_ns else 0.0,
            "duration_s": round((self._newest_ns - first_ns) / NS_PER_S, 1) if self._first_ns is not None else None,
            "overloaded": overload.symptoms(self._late_us.p99() / 1e3, self._lag_ms.p99()) or "no",
            "system1_runs": len(chunks),
            "system2_runs": len(conditions),
            "ratio_measured": self._ratio(conditions),
            "actions_per_condition": self._actions_per_condition(chunks, len(conditions)),
            "condition_age_ms": ages.figures("p50", "p99"),
            "chunk_ms": taken.figures("p50", "p99"),
            "overhead_ms": self._overhead(chunks).figures("p50", "p99"),
            "tick_late_us": self._late_us.figures("p50", "p99", "max"),
            "deadline_misses": self._misses,
            "seam_velocity_jump_rad_s": self._seams.figures("p99", "max"),
            "limited_fraction": _share(self._limited, self._running),
            "arm_path_rad": [round(float(path), 3) for path in self._path],
            "running_fraction": _share(self._running, self._ticks),
            "takeover_fraction": _share(self._led, self._ticks),
            "holds": self._since_running("holds"),
            "faults_latched": self._since_running("faults"),
            "fault_reports": self._fault_reports,
            "drops": dropped + self._since_running("chunks_dropped"),
            "late_triggers": sum(condition.late_runs > 0 for condition in conditions),
            "window_step_ms": steps.figures("p50", "max"),
            "saturated": self._saturated(chunks, conditions),
            "real_time_factor": self._real_time_factor(),
            "physics_lag_ms": self._lag_ms.figures("p99", "max"),
            "camera_fps": self._rates,
            "not_replayable": sum(not self._complete(inputs) for inputs in self._wanted),
            "session": session,
        }

    def _counting(self, stamp_ns: int) -> bool:
        return self._first_ns is not None and self._first_ns <= stamp_ns < (self._last_ns or stamp_ns + 1)

    def _outcome(self) -> str:
        """Of the episodes, as the operator or the simulation judged them: success, failure, or how many of several."""
        results = list(self._judged.values())
        if len(results) < 2:
            return "".join(results) or ("not done" if self._scenes else "")
        return f"{results.count('success')} of {len(results)}"

    def _tick(self, target: messages.ArmTarget) -> None:
        self._span_ns[1:] = [target.stamp_ns]
        for seq, arrival_ns in target.arrivals:
            self._arrivals.setdefault(seq, []).append(arrival_ns)
        if target.mode == "RUNNING" and self._first_ns is None:
            self._first_ns = target.stamp_ns
        if not self._counting(target.stamp_ns):
            return
        self._ticks, self._newest_ns = self._ticks + 1, target.stamp_ns
        self._late_us.add((target.stamp_ns - target.deadline_ns) / 1e3)
        if self._ticks > 1:
            period_ns = target.deadline_ns - self._previous_deadline_ns
            self._misses += max(0, round(period_ns * self._rate_hz / NS_PER_S) - 1)
        self._previous_deadline_ns = target.deadline_ns
        self._led += target.mode == "TAKEOVER"
        if target.mode == "RUNNING":
            self._running += 1
            self._limited += target.limited
        if target.seam_jump_rad_s >= 0:
            self._seams.add(target.seam_jump_rad_s)

    def _note_safety(self, state: messages.SafetyState) -> None:
        if self._first_ns is None or state.stamp_ns < self._first_ns:
            self._before = state
        elif self._last_ns is None:
            self._safety = state

    def _note_scene(self, scene: messages.Scene) -> None:
        if scene.success:
            self._judged[scene.episode] = self._judged.get(scene.episode) or "success"
        if self._counting(scene.stamp_ns):
            self._lag_ms.add(scene.lag_ns / 1e6)
            self._scenes[1:] = [(scene.stamp_ns, scene.simulated_ns)]

    def _since_running(self, count: str) -> int:
        """By how much a count of the safety layer has grown since the first RUNNING."""
        newest = self._safety or self._before
        return getattr(newest, count) - (getattr(self._before, count) if self._before else 0) if newest else 0

    def _move(self, state: messages.JointState) -> None:
        if self._previous_q is not None and self._counting(state.stamp_ns):
            step = state.q - self._previous_q
            left, right = step[_LEFT], step[_RIGHT]
            self._path += (math.sqrt(left @ left), math.sqrt(right @ right))
        self._previous_q = state.q

    def _overhead(self, chunks: list[messages.ActionChunk]) -> _Series:
        """Time from picture to arm that the networks did not take, ms."""
        overhead = _Series()
        for chunk in chunks:
            arrival_ns = next((at for at in self._arrivals.get(chunk.seq, ()) if at >= chunk.stamp_ns), None)
            if arrival_ns is not None:
                overhead.add((arrival_ns - chunk.frame_returned_ns - chunk.timing.forward_ns) / 1e6)
        return overhead

    def _ratio(self, conditions: list[_Condition]) -> float | None:
        """System-1 runs from one start of System 2 to the next, on average."""
        pairs = itertools.pairwise(conditions)
        alike = [(before, after) for before, after in pairs if after.system1_epoch == before.system1_epoch]
        steps = [after.trigger_run - before.trigger_run for before, after in alike]
        steps = [step for step in steps if step > 0]
        return round(sum(steps) / len(steps), 3) if steps else None

    def _saturated(self, chunks: list[messages.ActionChunk], conditions: list[_Condition]) -> bool:
        """Whether System 2 cannot keep up: System 1 says so most of the time, or the ratio is off by more than it may."""
        late = sum(max(0, condition.late_runs) for condition in conditions)
        said = _share(sum(chunk.saturated for chunk in chunks), len(chunks))
        return said > 0.5 or late > _LATE_SHARE * len(chunks)

    def _real_time_factor(self) -> float | None:
        """Simulated time for each second of the clock; None without a simulator."""
        if len(self._scenes) < 2 or self._scenes[1][0] == self._scenes[0][0]:
            return None
        (from_ns, simulated_from_ns), (to_ns, simulated_to_ns) = self._scenes
        return round((simulated_to_ns - simulated_from_ns) / (to_ns - from_ns), 4)

    def _actions_per_condition(self, chunks: list[messages.ActionChunk], conditions: int) -> float | None:
        if not chunks or not conditions:
            return None
        actions = self._running / self._rate_hz / (chunks[0].dt_ns / NS_PER_S)
        return round(actions / conditions, 2)

    def _complete(self, inputs: tuple[messages.InputRef, ...]) -> bool:
        """Whether everything that an output consumed was logged."""
        for topic, epoch, seq in inputs:
            if seq not in self._seen.get((topic, epoch), ()):
                return False
            camera = topic.removeprefix("frame.")
            if camera != topic and seq not in self._pictures.get(camera, ()):
                return False
        return True


def lines(table: dict[str, Any]) -> list[str]:
    """The table for a terminal: what was measured."""
    rows = {name: _text(value) for name, value in table.items()}
    of_session = [name for name in OF_THE_SESSION if rows.get(name)]
    counted = [name for name in rows if name not in OF_THE_SESSION and rows[name]]
    said = ["whole session:", *(f"  {name:<26} {rows[name]}" for name in of_session)]
    if table.get("duration_s") is None:
        return [*said, "the arms never ran; nothing else was measured"]
    since = "since the first RUNNING, pauses included:"
    return [*said, since, *(f"  {name:<26} {rows[name]}" for name in counted)]


def _text(value: Any) -> str:
    """One row's figures; empty: nothing was measured."""
    if isinstance(value, dict):
        return "  ".join(f"{key} {inner}" for key, inner in value.items() if inner is not None)
    return "" if value is None else f"{value}"


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
